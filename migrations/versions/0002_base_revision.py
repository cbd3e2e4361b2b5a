"""The revision of the base model that an adapter was made on."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapters", sa.Column("base_revision", sa.String(length=100), nullable=True))


def downgrade() -> None:
    op.drop_column("adapters", "base_revision")
