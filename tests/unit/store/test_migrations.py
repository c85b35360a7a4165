"""All migrations together make what `store/tables.py` and `store/media_tables.py` say."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, insert, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from bytespike.ledger.rollups import DAY_US, Sums, Wanted, summed, total, wrong_rollups
from bytespike.store import engine as store_engine
from bytespike.store import tables
from bytespike.store.media_tables import metadata
from bytespike.store.upgrade import migration_config


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

    assert asyncio.run(run()) == [store_engine.NEWEST]


def test_the_newest_schema_is_known_without_alembic() -> None:
    """A process that finds it does not even import that."""
    with create_engine("sqlite://").connect() as connection:
        assert ScriptDirectory.from_config(migration_config(connection)).get_heads() == [store_engine.NEWEST]


USAGE = {
    "user_id": "u1",
    "account_id": "wallet:user:u1",
    "group_id": 1,
    "channel_id": "ch_1",
    "upstream_provider": "simulator",
    "requested_model": "m",
    "upstream_model": "m",
    "protocol": "gemini",
    "upstream_protocol": "gemini",
    "stream": False,
    "input_tokens": 1,
    "cache_read_tokens": 2,
    "cache_write_5m_tokens": 3,
    "cache_write_1h_tokens": 4,
    "output_tokens": 5,
    "reasoning_tokens": 6,
    "web_searches": 7,
    "credits": 8,
    "held": 9,
    "price": {"id": "catalog"},
    "multiplier_ppm": 1_000_000,
    "estimated": False,
    "end_reason": "completed",
    "notices": [],
    "latency_ms": 1,
    "first_token_ms": 1,
}


def test_receipts_of_before_are_rolled_up_by_the_migration(tmp_path: Path) -> None:
    def before(connection: Connection) -> None:
        command.upgrade(migration_config(connection), "0005")
        rows = [
            {
                **USAGE,
                "request_id": f"r{n}",
                "at": n * 50 * 60_000_000,
                "key_id": f"k{n % 2}",
                "model": f"m{n % 3}",
            }
            for n in range(100)
        ]
        connection.execute(insert(tables.usage), rows)

    async def run() -> tuple[list[object], Sums]:
        engine = store_engine.create_engine(f"sqlite:///{tmp_path}/old.db")
        async with engine.begin() as connection:
            await connection.run_sync(before)
        await store_engine.migrate(engine)
        async with store_engine.reading(engine) as connection:
            wrong = list(await connection.execute(wrong_rollups(5)))
        found = await summed(engine, Wanted("u1", 0, 90 * DAY_US), ("hour", "model", "api_key"))
        await engine.dispose()
        return wrong, total(found)

    assert asyncio.run(run()) == ([], Sums(100, 100, 200, 300, 400, 500, 600, 700, 800))
