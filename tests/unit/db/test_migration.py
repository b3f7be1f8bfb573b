# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess

from alembic import script
import pytest

from aacloud.db import errors
from aacloud.db import migration
from tests.unit.db import migration_cases
from tests.unit.db import worlds


class TestMigrationOnSqlite(migration_cases.MigrationCases):
    @pytest.fixture
    def empty_url(self, tmp_path: pathlib.Path) -> str:
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"


class TestRefusals:
    def test_no_connection_is_configured(self) -> None:
        with pytest.raises(errors.DatabaseError, match="is not set"):
            migration.sync(worlds.configuration())

    def test_no_url(self) -> None:
        with pytest.raises(errors.DatabaseError, match="cannot be under"):
            migration.sync(worlds.configuration(), connection="mariadb.local")

    def test_no_directory(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(errors.SchemaError, match="no such database"):
            migration.sync(
                worlds.configuration(),
                connection=f"sqlite:///{tmp_path / 'missing' / 'a.sqlite'}",
            )


def test_the_steps_are_one_line_without_branches() -> None:
    steps = script.ScriptDirectory(str(migration.MIGRATIONS))
    assert steps.get_heads() == [migration_cases.HEAD]
    assert len(steps.get_bases()) == 1
    names = [pathlib.Path(step.path).name for step in steps.walk_revisions()]
    for step, name in zip(steps.walk_revisions(), names, strict=True):
        assert name.startswith(f"{step.revision}_")


def test_the_steps_are_in_version_control() -> None:
    """pbr packs what git tracks; a step left out breaks every wheel."""
    root = migration.MIGRATIONS
    present = {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.suffix in (".py", ".mako")
    }
    assert {"env.py", "script.py.mako", "versions/__init__.py"} < present
    listed = subprocess.run(
        ["git", "ls-files", "."],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # Nothing is listed in an unpacked archive: it was packed already.
    tracked = set(listed.stdout.split())
    assert not present - (tracked or present)
