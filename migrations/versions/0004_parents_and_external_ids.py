"""Adapters with a parent, and documents that replace each other under the user's own id."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapters", sa.Column("parent_id", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_adapters_parent_id"), "adapters", ["parent_id"])
    op.add_column("documents", sa.Column("external_id", sa.String(length=200), nullable=True))
    op.add_column("documents", sa.Column("replaced_by", sa.String(length=40), nullable=True))
    op.add_column("documents", sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_documents_external_id"), "documents", ["external_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_documents_external_id"), "documents")
    for column in ("replaced_at", "replaced_by", "external_id"):
        op.drop_column("documents", column)
    op.drop_index(op.f("ix_adapters_parent_id"), "adapters")
    op.drop_column("adapters", "parent_id")
