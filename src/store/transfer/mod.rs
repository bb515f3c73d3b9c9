//! Whole databases: reading one as it was at a moment, writing it into another, of either kind; and what migrations will do to one.

mod copy;
mod plan;
mod restoring;
mod row;
mod session;
mod tables;

pub(crate) use copy::{Copying, Difference, Progress, Start};
pub(crate) use plan::{Plan, plan};
pub(crate) use restoring::{Occupied, Restoring, Standing};
pub(crate) use row::{Content, Contents, Row, from_line, to_line};
pub(crate) use session::{Snapshot, TransferError};
pub(crate) use tables::{TABLES, Table};
