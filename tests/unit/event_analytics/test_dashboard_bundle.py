"""Modules -> one script."""

import pytest

from event_analytics.dashboard_bundle import bundle_modules

LEAF = "export const ONE = 1;\nexport function two() {\n  return 2;\n}\nconst hidden = 3;\n"
MIDDLE = (
    'import { ONE } from "./leaf.js";\n\nexport class Middle {}\nexport async function wait() {\n  return ONE;\n}\n'
)
ENTRY = 'import { ONE, two } from "./leaf.js";\nimport { Middle } from "./middle.js";\n\ntwo(ONE, Middle);\n'


def test_a_module_comes_once_and_after_what_it_imports() -> None:
    bundle = bundle_modules({"main.js": ENTRY, "middle.js": MIDDLE, "leaf.js": LEAF}, "main.js")

    places = [bundle.index(f"modules['{name}'] = ") for name in ("leaf.js", "middle.js", "main.js")]
    assert places == sorted(places)
    assert bundle.count("export") == bundle.count("import") == 0
    assert 'const { ONE, two } = modules["leaf.js"];' in bundle
    assert "return { ONE, two };" in bundle
    assert "return { Middle, wait };" in bundle


def test_a_module_that_nobody_imports_is_left_out() -> None:
    assert "lonely" not in bundle_modules({"main.js": "go();\n", "lonely.js": LEAF}, "main.js")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('import { gone } from "./leaf.js";\n', "imports gone, which leaf.js does not export"),
        ('import { ONE } from "./nowhere.js";\n', "imports nowhere.js, which is not there"),
        ('import { ONE } from "./main.js";\n', "in a circle"),
        ('import leaf from "./leaf.js";\n', "is no form that is bundled"),
        ('import {\n  ONE,\n} from "./leaf.js";\n', "is no form that is bundled"),
        ("export default 1;\n", "is no form that is bundled"),
        ("export { here };\n", "is no form that is bundled"),
        ('const late = await import("./leaf.js");\n', "is no form that is bundled"),
        ("const here = import.meta.url;\n", "is no form that is bundled"),
    ],
)
def test_what_would_mean_something_else_in_a_browser_is_refused(source: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bundle_modules({"main.js": source, "leaf.js": LEAF}, "main.js")
