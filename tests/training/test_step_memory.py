import pytest
import torch

from galaxyvotes import ConfigError, PackSettings, Recipe
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.runtime.memory_limits import Memory
from galaxyvotes.training import step_memory
from galaxyvotes.training.step_memory import bytes_per_galaxy, memory_warning, remedy

CPU = torch.device("cpu")


@pytest.fixture
def network(kaggle) -> Network:
    recipe = Recipe.load("paper", ("train.precision=float32",))
    return Network.build(recipe, (Head(kaggle, kaggle.columns),), PackSettings(32, 32))


@pytest.fixture
def left(monkeypatch):
    """`left(bytes)`: so much memory is left."""
    return lambda number: monkeypatch.setattr(
        step_memory, "available_memory", lambda: Memory(number, "the cgroup of this process")
    )


def test_what_a_galaxy_takes_holds_each_activation_that_its_gradient_needs(network):
    outputs = 2 * 16 * (30 * 30 + 28 * 28) + 2 * 32 * (12 * 12 + 10 * 10)  # of the convolutions
    assert 4 * outputs / 2 < bytes_per_galaxy(network) < 4 * outputs * 2


def test_counting_leaves_the_network_as_it_was(network):
    network.module.train()
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    bytes_per_galaxy(network)
    assert network.module.training
    assert all(torch.equal(before[name], now) for name, now in network.module.state_dict().items())


def test_a_step_that_fits_is_no_matter(network, left):
    left(2**40)
    assert memory_warning(network, CPU) is None


def test_a_step_that_cannot_fit_is_refused_with_the_number_that_fits(network, left):
    left(100 * bytes_per_galaxy(network))
    with pytest.raises(
        ConfigError,
        match=r"256 galaxies .* the cgroup of this process has .* MB left: lower"
        r" train\.micro_batch, to 40 or fewer",
    ):
        memory_warning(network, CPU)
    smaller = network.recipe.changed("train.micro_batch=40")
    assert (
        memory_warning(Network(network.module, network.heads, network.pack, smaller), CPU) is None
    )


def test_a_step_that_may_not_fit_is_a_warning(network, left):
    left(300 * bytes_per_galaxy(network))
    warning = memory_warning(network, CPU)
    assert warning is not None
    assert "begin again and lower train.micro_batch, to 120 or fewer" in warning


def test_where_not_even_two_galaxies_fit_the_network_is_too_large(network, left):
    left(bytes_per_galaxy(network))
    with pytest.raises(ConfigError, match="choose a smaller network or smaller images"):
        memory_warning(network, CPU)


def test_a_gpu_says_itself_that_its_memory_is_short(network, left):
    left(1)
    assert memory_warning(network, torch.device("cuda")) is None


def test_the_remedy_halves_what_is_in_memory_together():
    recipe = Recipe.load("paper", ("train.micro_batch=64",))
    assert "lower train.micro_batch, to 128 or fewer" in remedy(Recipe.load("paper").train)
    assert "lower train.micro_batch, to 32 or fewer" in remedy(recipe.train)
