"""Fetch what judges an XRechnung: the schema of UBL 2.1, and the rules of EN 16931 and of XRechnung as XSLT.

All of it is published inside Maven artefacts. This script lets Maven copy them and unpacks the few files that the tests
need to `.cache/xrechnung/<versions>/`, where `synapse_bum.testing.xrechnung_rules` finds them, and prints that folder.
It does nothing, quickly, when they are there already.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache" / "xrechnung"

COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
EN_16931: Final = "1.3.16"
XRECHNUNG: Final = "3.0.2"
"""The version of the specification; the rules for it carry the number 2.5.0 of their own."""

WANTED: Final[Mapping[str, Mapping[str, str]]] = {
    "com.helger.phive.rules:phive-rules-en16931:4.3.7": {
        f"external/schematron/{EN_16931}/ubl/EN16931-UBL-validation.xslt": "en16931.xslt",
    },
    "com.helger.phive.rules:phive-rules-xrechnung:4.2.3": {
        f"external/schematron/{XRECHNUNG}/XRechnung-UBL-validation.xslt": "xrechnung.xslt",
    },
    "com.helger.ubl:ph-ubl21:10.2.0": {
        "external/schemas/ubl21/common/*": "common/",
        "external/schemas/ubl21/maindoc/UBL-Invoice-2.1.xsd": "maindoc/UBL-Invoice-2.1.xsd",
    },
    "com.helger.xsd:ph-xsds-ccts-cct-schemamodule:4.1.0": {"schemas/CCTS_CCT_SchemaModule.xsd": "core-components.xsd"},
    "com.helger.xsd:ph-xsds-xmldsig:4.1.0": {"schemas/xmldsig-core-schema.xsd": "xmldsig.xsd"},
}
"""Artefacts, and where which of their files go: a name that ends with `/` is a folder."""

PROJECT: Final = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rules</groupId>
  <artifactId>rules</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY: Final = """
    <dependency>
      <groupId>{}</groupId>
      <artifactId>{}</artifactId>
      <version>{}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>"""
"""A project for Maven that has nothing but dependencies, and these without their own."""

SCHEMA: Final = """\
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:import namespace="urn:un:unece:uncefact:data:specification:CoreComponentTypeSchemaModule:2"
             schemaLocation="core-components.xsd"/>
  <xs:import namespace="http://www.w3.org/2000/09/xmldsig#" schemaLocation="xmldsig.xsd"/>
  <xs:import namespace="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
             schemaLocation="maindoc/UBL-Invoice-2.1.xsd"/>
</xs:schema>
"""
"""The schemas in the artefact import these namespaces without saying where they are, because Java is told elsewhere."""


def download(folder: Path) -> None:
    """Let Maven copy the artefacts, all at once, because each start of Maven takes seconds.

    Args:
        folder: an empty one, for the archives.

    Raises:
        FileNotFoundError: Maven is not installed.
        subprocess.CalledProcessError: Maven failed; its `stdout` has what it said.
    """
    dependencies = "".join(DEPENDENCY.format(*artefact.split(":")) for artefact in WANTED)
    folder.joinpath("pom.xml").write_text(PROJECT.format(dependencies=dependencies), encoding="utf-8")
    command = ["mvn", "--quiet", "--batch-mode", COPY, f"-DoutputDirectory={folder}"]
    subprocess.run(
        command,
        check=True,
        cwd=folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> None:
    """Unpack the wanted files of an archive.

    Args:
        archive: a ZIP or JAR.
        wanted: patterns of names in the archive, and where in `folder` they go.
        folder: where to.

    Raises:
        LookupError: the archive has no such file.
    """
    with zipfile.ZipFile(archive) as files:
        for pattern, target in wanted.items():
            found = [name for name in files.namelist() if PurePosixPath(name).match(pattern) and not name.endswith("/")]
            if not found:
                raise LookupError(f"{archive.name} has no file {pattern}")
            for name in found:
                path = folder / target / PurePosixPath(name).name if target.endswith("/") else folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.open(name) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)


def fetch() -> Path:
    """Have the rules in the cache.

    Returns:
        The folder with `invoice.xsd`, `en16931.xslt` and `xrechnung.xslt`.
    """
    folder = CACHE / f"{XRECHNUNG}-en16931-{EN_16931}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            archives, unpacked = Path(scratch, "archives"), Path(scratch, "unpacked")
            archives.mkdir()
            download(archives)
            for artefact, wanted in WANTED.items():
                _group, name, version = artefact.split(":")
                unpack(archives / f"{name}-{version}.jar", wanted, unpacked)
            unpacked.joinpath("invoice.xsd").write_text(SCHEMA, encoding="utf-8")
            # The rename is the last step: an interrupted run leaves no half-filled folder that looks whole.
            try:
                unpacked.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another run, at the same time, was faster
                    raise
    return folder


def main() -> int:
    """Fetch, print the folder, and return the exit status."""
    try:
        print(fetch())
    except FileNotFoundError:
        print("fetch_xrechnung_rules: Maven is not installed (Debian: maven)", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout}\nfetch_xrechnung_rules: Maven could not get the rules", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
