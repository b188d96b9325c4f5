"""Plug-ins are found in the working directory and on the Python path; what is wrong with one is said in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from plugin_files import Written

from nc_bench.plugins import PluginError, load_plugin, source_digest


def refused(path: str, source: str | None = None) -> str:
    with pytest.raises(PluginError) as caught:
        load_plugin("model.name", path, source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_function_of_a_file_in_the_working_directory(plugin: Written) -> None:
    path = plugin("def net(depth=2):\n    return depth * 10\n") + ":net"
    found = load_plugin("model.name", path, source_digest(path))
    assert (found.name, found(**found.keywords({"depth": 3}))) == ("net", 30)
    assert load_plugin("model.name", "import:collections:OrderedDict.fromkeys")([1]) == {1: None}


def test_what_is_offered_is_given_where_the_signature_has_it(plugin: Written) -> None:
    path = plugin(
        """
        def all(**anything): pass
        def some(classes, width=3): pass
        def loss(logits, labels, *, gamma): pass
        """
    )
    some, loss, everything = (load_plugin("model.name", f"{path}:{name}") for name in ("some", "loss", "all"))
    assert some.keywords({}, {"classes": 4, "samples": 7}) == {"classes": 4}
    assert some.keywords({"classes": 9, "width": 1}, {"classes": 4}) == {"classes": 9, "width": 1}
    assert everything.keywords({"a": 1}, {"classes": 4}) == {"a": 1}
    assert loss.keywords({"gamma": 2}, positional=2) == {"gamma": 2}
    with pytest.raises(PluginError, match=r"^model\.arguments\.widht: .*:some has no such argument; did you mean 'wi"):
        some.keywords({"widht": 1})
    with pytest.raises(PluginError, match=r"^model\.arguments: .*:some needs classes$"):
        some.keywords({"width": 1})
    with pytest.raises(PluginError, match=r"^model\.arguments: .*:loss needs gamma$"):
        loss.keywords({}, positional=2)
    with pytest.raises(PluginError, match=r"^model\.arguments\.labels: .*; it takes gamma$"):
        loss.keywords({"labels": 2, "gamma": 1}, positional=2)


def test_what_cannot_be_found_or_imported(plugin: Written, tmp_path: Path) -> None:
    fine = plugin("x = 1\ndef network(): pass\n")
    module = fine.removeprefix("import:")
    assert refused(f"{fine}s:network") == (
        f"model.name: {fine}s:network: there is no module {module}s in {tmp_path} or on the Python path; did you mean "
        f"'{module}'?"
    )
    assert refused(f"{fine}:netwrk").endswith(f"{module}.py has no 'netwrk'; did you mean 'network'?")
    assert refused(f"{fine}:x").endswith("should be a function or a class, not a int")
    assert "there is no module sys.nothing" in refused("import:sys.nothing:x")
    broken = plugin("def f(:\n")
    assert f"cannot be imported from {tmp_path}/" in refused(f"{broken}:f") and "SyntaxError" in refused(f"{broken}:f")
    raising = plugin("import math\nmath.sqrt(-1)\n")
    assert refused(f"{raising}:f").endswith(f"({raising.removeprefix('import:')}.py, line 2)")
    assert "ValueError: " in refused(f"{raising}:f")
    assert "No module named 'no_such_library'" in refused(plugin("import no_such_library\n") + ":f")
    assert "SystemExit: 3" in refused(plugin("raise SystemExit(3)\n") + ":f")


def test_an_error_of_its_own_names_its_line(plugin: Written) -> None:
    path = plugin("def net():\n    return {}['width']\n") + ":net"
    found = load_plugin("model.name", path)
    with pytest.raises(PluginError, match=r"^model\.name: import:own_\d+:net: KeyError: 'width' \(own_\d+\.py, line 2"):
        found()


def test_the_source_is_that_of_all_files_beside_it_that_are_imported(tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    files = {name: tmp_path / name for name in ("kit/__init__.py", "kit/net.py", "kit/parts.py", "far.py", "other.py")}
    texts = ["", "from . import parts\nimport torch\n", "def f():\n    import far\n", "x = 1\n", "y = 1\n"]
    for file, text in zip(files.values(), texts, strict=True):
        file.write_text(text)

    def digest() -> str:
        program = "from nc_bench.plugins import source_digest; print(source_digest('import:kit.net:f'))"
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    first = digest()
    assert len(first) == 16
    files["other.py"].write_text("y = 2\n")
    assert digest() == first
    for name in ("kit/__init__.py", "kit/net.py", "kit/parts.py", "far.py"):
        before, old = digest(), files[name].read_text()
        files[name].write_text(old + "# changed\n")
        assert digest() != before, name
        files[name].write_text(old)
    assert digest() == first


def test_a_source_that_has_changed_is_refused(plugin: Written, tmp_path: Path) -> None:
    path = plugin("def net(): return 1\n") + ":net"
    digest = source_digest(path)
    load_plugin("model.name", path, digest)
    (tmp_path / f"{path.removeprefix('import:').partition(':')[0]}.py").write_text("def net(): return 2\n")
    assert refused(path, digest).endswith(
        f"its source has changed (its digest is {source_digest(path)}, and {digest} stated)"
    )
    assert refused(path).endswith("its source has changed since it was imported; start Python anew")


def test_a_large_library_is_known_by_one_file() -> None:
    assert len(source_digest("import:torch.optim:RAdam")) == 16
