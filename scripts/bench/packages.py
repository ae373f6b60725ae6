"""What a cold start costs: the size of both layers, zipped, and the import of each function without byte code.

The layers are unpacked as Lambda unpacks them: their zips hold no byte code, and none is written. boto3 comes from the
environment of the endpoint, as it comes with Lambda's runtime.
"""

import json
import subprocess
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from local_runtime.build import LayerTarget, build_third_party_layer
from local_runtime.deploy import FUNCTIONS
from local_runtime.deploy_package import LAYER_PREFIX
from local_runtime.settings import LocalSettings
from local_runtime.zip_files import zip_source
from scripts.bench.figures import spread_of

ROUNDS: Final = 3
# -P: not the folder it is started in. What the interpreter needs for itself is imported before the clock runs.
_IMPORT: Final = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
began, cpu = time.perf_counter(), time.process_time()
import app
print(json.dumps([(time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3]))
"""


def measure_packages(settings: LocalSettings) -> dict[str, Any]:
    """Megabytes of each layer, and milliseconds of each function's import, wall clock and CPU."""
    layers = {"third_party": _third_party(settings), "event_analytics": _shared(settings)}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in layers.items():
            zipfile.ZipFile(BytesIO(content)).extractall(Path(folder) / name)
        places = [str(Path(folder) / name / LAYER_PREFIX) for name in layers]
        imports = {name: [_import(settings, name, places) for _ in range(ROUNDS)] for name in FUNCTIONS}
    sizes = {name: round(len(content) / 1e6, 2) for name, content in layers.items()}
    return {
        "zip_mb": {**sizes, "sum": round(sum(sizes.values()), 2)},
        "import_ms": {name: spread_of([wall for wall, _ in runs]) for name, runs in imports.items()},
        "import_cpu_ms": {name: spread_of([cpu for _, cpu in runs]) for name, runs in imports.items()},
    }


def _third_party(settings: LocalSettings) -> bytes:
    requirements = settings.repository / "layers/third_party/requirements.txt"
    return build_third_party_layer(requirements, LayerTarget.for_this_host(), settings.build_cache_dir).read_bytes()


def _shared(settings: LocalSettings) -> bytes:
    return zip_source(settings.repository / "layers/event_analytics/python", LAYER_PREFIX)


def _import(settings: LocalSettings, function: str, layers: list[str]) -> tuple[float, float]:
    python = str(settings.ministack_venv / "bin" / "python")
    places = [*layers, str(settings.repository / "functions" / function)]
    done = subprocess.run(
        [python, "-B", "-P", "-c", _IMPORT, json.dumps(places)],
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu
