//! Frames and messages of PostgreSQL's protocol, version 3.
//!
//! In: bytes. Out: headers, the few decoded messages that a stage must understand, and encoders of those that we make ourselves.
//! Never: a panic on any bytes, an allocation sized by a length that has not been checked, I/O beyond the two stream enums.

pub mod backend;
pub mod frame;
pub mod frontend;
pub mod stream;

pub use backend::BackendTag;
pub use frame::{FrameError, Header};
pub use frontend::FrontendTag;
pub use stream::{ClientStream, UpstreamStream};
