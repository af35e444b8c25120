//! Jobs: submit, watch, steer, read.

mod admission;
mod formats;
mod get;
mod idempotency;
mod item;
mod item_view;
mod items;
mod list;
mod messages;
mod output;
mod params;
mod request;
mod schema;
mod submit;
mod surroundings;
mod verbs;
mod view;

pub(crate) use self::get::{__path_get, get};
pub(crate) use self::item::{__path_item, item};
pub(crate) use self::items::{__path_items, items};
pub(crate) use self::list::{__path_list, list};
pub(crate) use self::output::{__path_output, output};
pub(crate) use self::submit::{__path_submit, submit};
pub(crate) use self::verbs::{__path_cancel, __path_pause, __path_resume, cancel, pause, resume};
