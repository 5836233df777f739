import torch


def test_opening_a_network_leaves_torchs_random_numbers_alone(blob_run):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    blob_run.network()
    blob_run.untrained()
    assert torch.equal(torch.rand(4), expected)
