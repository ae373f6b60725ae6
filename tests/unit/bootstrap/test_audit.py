"""What `make audit` and `make lint` look at."""

from scripts.bootstrap import commands, settings, steps


def test_every_list_of_pins_is_audited() -> None:
    audited = {str(path.relative_to(settings.ROOT)) for path in steps.find_requirements(settings.ROOT)}
    installed = {
        name
        for step in vars(steps).values()
        if isinstance(step, steps.Step)
        for group in step.requirements
        for name in group
    }

    assert installed <= audited
    assert "layers/third_party/requirements.txt" in audited


def test_a_package_that_could_not_be_audited_is_a_failure() -> None:
    assert "--strict" in commands.PIP_AUDIT


def test_bandit_is_a_linter_and_leaves_out_no_code() -> None:
    assert commands.BANDIT in commands.LINTERS
    assert {"functions", "layers/event_analytics/python", "scripts"} <= set(commands.BANDIT)
