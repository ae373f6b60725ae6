"""What of a person's environment reaches pip and the programs of the checkout."""

from pathlib import Path

from scripts.bootstrap.settings import environment_for_pip, environment_for_programs, npm_registry, state_dir


def test_programs_do_not_see_python_paths_of_the_shell() -> None:
    values = {"PYTHONPATH": "/elsewhere", "PYTHONHOME": "/usr", "PATH": "/bin", "EVENTS": "all"}

    assert environment_for_programs(values) == {"PATH": "/bin", "EVENTS": "all"}


def test_pip_keeps_index_and_proxy_and_loses_other_targets() -> None:
    values = {"PIP_INDEX_URL": "https://index", "HTTPS_PROXY": "http://proxy", "PIP_TARGET": "/x", "PIP_USER": "1"}

    environment = environment_for_pip(Path("/scratch dir"), values)

    assert environment["PIP_INDEX_URL"] == "https://index"
    assert environment["HTTPS_PROXY"] == "http://proxy"
    assert environment["TMPDIR"] == "/scratch dir"
    assert environment["PIP_USER"] == "0"
    assert "PIP_TARGET" not in environment


def test_state_lies_in_the_checkout_unless_the_person_says_otherwise() -> None:
    assert state_dir(Path("/repo"), {}) == Path("/repo/.tallystream")
    assert state_dir(Path("/repo"), {"TALLYSTREAM_STATE_DIR": "/var/tally"}) == Path("/var/tally")


def test_npm_packages_come_from_where_npm_itself_would_take_them(tmp_path: Path) -> None:
    assert npm_registry({}, tmp_path) == "https://registry.npmjs.org"

    (tmp_path / ".npmrc").write_text("fund=false\nregistry = https://mirror/npm/\n", encoding="utf-8")
    assert npm_registry({}, tmp_path) == "https://mirror/npm/"
    assert npm_registry({"npm_config_registry": "https://named"}, tmp_path) == "https://named"
    assert npm_registry({"NPM_CONFIG_REGISTRY": "https://loud"}, tmp_path) == "https://loud"
