"""Try an installed wheel, away from the checkout: `smoke.py WHEEL`."""

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import gpuhub

wheel = zipfile.ZipFile(sys.argv[1])
names = wheel.namelist()
packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
adapters = entry_points(group="gpuhub.adapters")

assert "site-packages" in Path(gpuhub.__file__).parts, "not the installed package"
assert packages == {"gpuhub", *(point.module for point in adapters)}, packages
assert all(f"{package}/py.typed" in names for package in packages), "a package has no py.typed"
assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), "no licence"
assert not [name for name in names if "/tests/" in name or name.endswith((".db", ".env"))]
assert all(hasattr(point.load(), "create") for point in adapters)

command = Path(sys.executable).with_name("gpuhub")
done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
assert version("gpuhub-sdk") in done.stdout, done.stdout


@gpuhub.function(gpu="A100-80GB")
def double(number: int) -> int:
    """Give twice the number."""
    return number * 2


assert double(21) == 42
assert all(getattr(gpuhub, name) is not None for name in gpuhub.__all__)
print(f"{Path(sys.argv[1]).name}: {len(names)} files, {', '.join(sorted(packages))}")
