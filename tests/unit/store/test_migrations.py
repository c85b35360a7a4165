"""All migrations together make what `store/tables.py` says."""

import asyncio
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from bytespike.store import engine as store_engine
from bytespike.store.tables import metadata


def _schema(connection: Connection) -> dict[str, dict[str, object]]:
    inspector = inspect(connection)
    return {
        table: {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"], each["default"])
                for each in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(map(_index, inspector.get_indexes(table))),
            "without rowid": inspector.get_table_options(table),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def _index(index: ReflectedIndex) -> str:
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def _migrated(folder: Path) -> str:
    async def run() -> None:
        engine = store_engine.create_engine(f"sqlite:///{folder}/m.db")
        await store_engine.migrate(engine)
        await engine.dispose()

    asyncio.run(run())
    return f"sqlite:///{folder}/m.db"


def test_all_migrations_together_make_the_tables(tmp_path: Path) -> None:
    migrated, defined = create_engine(_migrated(tmp_path)), create_engine("sqlite://")
    with migrated.connect() as left, defined.connect() as right:
        metadata.create_all(right)
        assert _schema(left) == _schema(right)
        context = MigrationContext.configure(
            left, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    migrated.dispose()
    defined.dispose()


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    migrated = create_engine(_migrated(tmp_path))
    with migrated.connect() as connection:
        before = _schema(connection)
        connection.execute(text("ALTER TABLE users ADD COLUMN nickname TEXT"))
        assert _schema(connection) != before
        connection.rollback()
    migrated.dispose()


def test_migrating_twice_and_at_once_changes_nothing(tmp_path: Path) -> None:
    async def run() -> list[str]:
        engines = [store_engine.create_engine(f"sqlite:///{tmp_path}/twice.db") for _ in range(3)]
        await asyncio.gather(*(store_engine.migrate(engine) for engine in engines))
        await store_engine.migrate(engines[0])
        async with store_engine.reading(engines[1]) as connection:
            versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars()
            found = list(versions)
        for engine in engines:
            await engine.dispose()
        return found

    assert len(asyncio.run(run())) == 1
