"""The floors that an adapter failed: NULL where it failed none."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapters", sa.Column("failed_floors", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("adapters", "failed_floors")
