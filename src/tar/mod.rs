//! stub
/// x
pub mod folder { /// x
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct FolderError; }
