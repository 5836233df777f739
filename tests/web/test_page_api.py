def test_the_page_says_what_is_served(site, zoo):
    about = site.get("/about").json()
    assert about["catalogue"]["galaxies"] == 150
    assert about["catalogue"]["tree"]["name"] == "kaggle"
    assert about["catalogue"]["answers"]["Class1.1"] == "Class1.1"
    assert [tree["name"] for tree in about["trees"]] == ["kaggle", "classes5", "gz2"]
    assert str(zoo.images) not in site.get("/about").text


def test_the_server_counts_for_prometheus(site):
    site.get("/healthz")
    lines = site.get("/metrics").text.splitlines()
    counted = [
        line for line in lines if line.startswith('galaxyvotes_requests_total{route="/healthz"')
    ]
    assert int(counted[0].split()[-1]) >= 1
    assert any(line.startswith('galaxyvotes_images_total{result="predicted"}') for line in lines)
    assert any('le="+Inf"' in line for line in lines)


def test_the_interface_is_described(site):
    paths = site.get("/openapi.json").json()["paths"]
    assert {"/predict", "/galaxies", "/galaxies/{id}", "/healthz", "/metrics"} <= set(paths)
    assert site.get("/docs").status_code == 404


def test_files_of_the_page_are_not_sent_twice(site):
    first = site.get("/")
    again = site.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
