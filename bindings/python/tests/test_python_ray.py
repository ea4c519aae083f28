"""`fleming_vl.ray.Predictor` by itself, and under Ray where `make ray` has installed it."""

import os

import pytest
from bound import CHEST, EXAMPLES, PACKAGE, SIDE, blocks
from program import ROOT

import fleming_vl
from fleming_vl.ray import Predictor

PICTURES = [CHEST, EXAMPLES / "fundus.png", EXAMPLES / "brain.png"]


def rows(count):
    """Rows with a picture each; every fifth is damaged."""
    paths = [str(PICTURES[place % 3]) if place % 5 != 4 else "nowhere.png" for place in range(count)]
    return [{"place": place, "path": path} for place, path in enumerate(paths)]


def answers(engine):
    return {str(path): engine.ask(SIDE, image=path).answer for path in PICTURES}


def check(table, wanted, count):
    """Order, answers and errors of rows that were answered."""
    assert [row["place"] for row in table] == list(range(count))
    for row in table:
        assert row["answer"] == wanted.get(row["path"], "")
        assert ("nowhere.png" in row["error"]) == (row["path"] == "nowhere.png")
        assert (row["error"] == "") == (row["finish"] == "stop")


def test_a_batch_is_answered_in_order_and_a_bad_row_fails_alone(engine):
    predictor = Predictor(fleming_vl.DEMO, {"image": "path"}, SIDE, {"slots": 2, "threads": 1})
    given = rows(12)
    batch = {name: [row[name] for row in given] for name in given[0]}
    out = predictor(batch)
    table = [{name: column[place] for name, column in out.items()} for place in range(12)]
    check(table, answers(engine), 12)
    assert predictor({"path": [], "place": []})["answer"] == []


def test_questions_may_be_a_column(engine):
    columns = {"image": "bytes", "question": "what"}
    predictor = Predictor(fleming_vl.DEMO, columns, None, {"threads": 1}, {"max_new_tokens": 3})
    out = predictor({"bytes": [CHEST.read_bytes()], "what": [SIDE]})
    assert out["completion_tokens"] == [3] and out["package_digest"] == [engine.facts.digest]
    for columns, question in (({"image": "path"}, None), ({"question": "what"}, "Q")):
        with pytest.raises(fleming_vl.RequestError, match="one of the two"):
            Predictor(fleming_vl.DEMO, columns, question)


@pytest.mark.parametrize("empty", [None, float("nan"), "", b"", []])
def test_a_row_without_its_picture_is_an_error_of_that_row(empty):
    predictor = Predictor(fleming_vl.DEMO, {"image": "path", "question": "what"}, None, {"threads": 1})
    out = predictor({"path": [str(CHEST), empty, str(CHEST)], "what": [SIDE, SIDE, empty]})
    assert out["finish"] == ["stop", "", ""]
    assert "image: wanted one" in out["error"][1] and "fill the column path" in out["error"][1]
    assert "question: wanted one" in out["error"][2] and out["error"][0] == ""


@pytest.mark.parametrize(
    ("says", "columns", "options"),
    [
        ("columns: .*got imag .did you mean image", {"imag": "path"}, None),
        ("options: .*did you mean max_new_tokens", {"image": "path"}, {"max_new_token": 3}),
    ],
)
def test_a_predictor_of_unknown_names_is_not_made(says, columns, options):
    with pytest.raises(fleming_vl.RequestError, match=says):
        Predictor(fleming_vl.DEMO, columns, SIDE, None, options)


def test_a_batch_that_does_not_fit_says_so():
    predictor = Predictor(fleming_vl.DEMO, {"image": "path"}, SIDE, {"threads": 1})
    for says, batch in (
        ("columns: wanted a column path, got p", {"p": ["x"]}),
        ("batch_format", [{"path": "x"}]),
    ):
        with pytest.raises(fleming_vl.RequestError, match=says):
            predictor(batch)


class Killed(Predictor):
    """One that is killed in the middle of its work, once."""

    def __init__(self, mark, *arguments):
        super().__init__(*arguments)
        self.mark = mark

    def __call__(self, batch):
        if 8 in batch["place"] and not os.path.exists(self.mark):
            with open(self.mark, "w"):
                pass
            os.kill(os.getpid(), 9)
        return super().__call__(batch)


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="`make ray` installs Ray and runs this")
    pytest.importorskip("ray.data")
    paths = [
        os.environ.get("PYTHONPATH", ""),
        str(PACKAGE),
        str(ROOT / "tests"),
    ]
    paths.append(os.path.dirname(__file__))
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, paths))}}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=environment, log_to_driver=False)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    yield ray
    ray.shutdown()


def test_two_actors_keep_the_order_and_one_that_is_killed_comes_back(engine, cluster, tmp_path):
    data, count = cluster.data, 40
    dataset = data.from_items(rows(count), override_num_blocks=10).map_batches(
        Killed,
        fn_constructor_args=[
            str(tmp_path / "killed"),
            str(fleming_vl.DEMO),
            {"image": "path"},
            SIDE,
            {"threads": 1},
        ],
        batch_format="numpy",
        batch_size=4,
        compute=data.ActorPoolStrategy(size=2),
        num_cpus=1,
    )
    check(dataset.take_all(), answers(engine), count)
    assert (tmp_path / "killed").exists()


def test_the_program_of_the_documents_works(cluster, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (block,) = [block for block in blocks("docs/python.md") if "import ray\n" in block]
    exec(block, {"fleming_vl": fleming_vl})
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first == "right lung " and second.startswith(" nowhere.png")
