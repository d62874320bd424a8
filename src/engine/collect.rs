//! x
use crate::repo::{Repository,RepoError,store::ChunkStore};
/// x
pub fn rescue(_:&Repository,_:&mut ChunkStore,_:&crate::format::manifest::Manifest)->Result<(),RepoError>{Ok(())}
