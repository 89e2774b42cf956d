"""The tables. The migrations make the same ones, and a test holds the two against each other."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
)

#: The newest migration. `versions` has one row, the migration this database is at.
HEAD: Final = "0003"
VERSION_TABLE: Final = "tunesmith_version"

metadata: Final = MetaData()

#: 64 bits everywhere; SQLite's Integer has them.
Id: Final = BigInteger().with_variant(Integer(), "sqlite")

versions: Final = Table(
    VERSION_TABLE,
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),  # as Alembic calls it
)

studies: Final = Table(
    "studies",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    #: The StudySpec as it was created, in JSON.
    Column("spec", Text, nullable=False),
    Column("lease_holder", Text),
    Column("lease_until", Float),
)

events: Final = Table(
    "events",
    metadata,
    Column("study", ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("trial", Integer),
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
    #: See `tunesmith.store.chain`.
    Column("digest", String(32)),
    sqlite_with_rowid=False,
)

#: A fold of the events: may be dropped and made again.
trials: Final = Table(
    "trials",
    metadata,
    Column("study", ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(12), nullable=False),
    Column("value", Float),
    Column("retracted", Boolean, nullable=False, server_default=false()),
    Column("outside", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)

#: When each session was last heard of, by the database's clock. Not part of the history.
heartbeats: Final = Table(
    "heartbeats",
    metadata,
    Column("study", ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("session", String(64), primary_key=True),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)

Index("events_by_trial", events.c.study, events.c.trial)
