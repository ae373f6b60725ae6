"""When a step is due: whenever what it would install, or where, is no longer what its stamp says."""

from pathlib import Path

import pytest

from scripts.bootstrap import steps
from scripts.bootstrap.steps import ALL_STEPS, CHROMIUM, DEMO_STEPS, MINISTACK, RUNTIME, TESTS, find_due_steps


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which every step is done."""
    for step in ALL_STEPS:
        for name in [name for group in step.requirements for name in group] + [step.program or "pyproject.toml"]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    for step in ALL_STEPS:
        python = steps.python_of(tmp_path, step.venv)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        steps.stamp_path(tmp_path, step).write_text(steps.stamp_of(tmp_path, step), encoding="utf-8")
    return tmp_path


def test_nothing_is_due_when_every_stamp_fits(checkout: Path) -> None:
    assert find_due_steps(checkout, ALL_STEPS) == []


def test_everything_is_due_in_an_empty_folder(tmp_path: Path) -> None:
    assert find_due_steps(tmp_path, ALL_STEPS) == list(ALL_STEPS)


@pytest.mark.parametrize("step", ALL_STEPS, ids=lambda step: step.name)
def test_only_its_own_step_is_due_when_a_list_changes(checkout: Path, step: steps.Step) -> None:
    for name in [name for group in step.requirements for name in group]:
        before = (checkout / name).read_text(encoding="utf-8")
        (checkout / name).write_text(f"{before}more==1\n", encoding="utf-8")

        assert find_due_steps(checkout, ALL_STEPS) == [step]

        (checkout / name).write_text(before, encoding="utf-8")


def test_project_is_installed_again_when_its_metadata_changes(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text("[project]\n", encoding="utf-8")

    assert find_due_steps(checkout, ALL_STEPS) == [RUNTIME]


def test_a_step_is_due_when_its_program_changes(checkout: Path) -> None:
    (checkout / CHROMIUM.program).write_text("pass\n", encoding="utf-8")

    assert find_due_steps(checkout, ALL_STEPS) == [CHROMIUM]


def test_project_is_installed_again_when_the_checkout_has_moved(checkout: Path) -> None:
    moved = checkout.rename(checkout.parent / "moved here")

    assert find_due_steps(moved, ALL_STEPS) == [RUNTIME, CHROMIUM]


def test_whole_environment_is_due_when_a_run_was_cut_in_it(checkout: Path) -> None:
    mark = steps.building_mark(checkout, steps.PROJECT_VENV)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()

    assert find_due_steps(checkout, ALL_STEPS) == [RUNTIME, TESTS]


def test_step_is_due_when_the_environments_interpreter_is_gone(checkout: Path) -> None:
    steps.python_of(checkout, MINISTACK.venv).unlink()

    assert find_due_steps(checkout, DEMO_STEPS) == [MINISTACK]


def test_step_is_due_when_its_stamp_is_of_another_python(checkout: Path) -> None:
    stamp = steps.stamp_path(checkout, TESTS)
    stamp.write_text(stamp.read_text().replace(steps.python_identity(), "cpython-310"), encoding="utf-8")

    assert find_due_steps(checkout, ALL_STEPS) == [TESTS]


def test_marks_of_the_environments_do_not_meet() -> None:
    venvs = {step.venv for step in ALL_STEPS}

    assert len({steps.building_mark(Path(), venv) for venv in venvs}) == len(venvs)
