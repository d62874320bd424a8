//! The yardstick for speed: how long one core takes to cut a file with the crate `fastcdc` and to hash every chunk
//! with BLAKE3. Nothing is compressed, sealed or written. Prints the seconds.
//!
//! ```text
//! onecore FILE
//! ```

use fastcdc::v2020::FastCDC;
use std::error::Error;
use std::hint::black_box;
use std::io::{Write, stdout};
use std::time::Instant;

/// Smallest, average and largest chunk, in bytes.
const SIZES: (usize, usize, usize) = (1024, 4096, 32_768);

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: onecore FILE")?;
    let data = std::fs::read(path)?;
    let start = Instant::now();
    for chunk in FastCDC::new(&data, SIZES.0, SIZES.1, SIZES.2) {
        black_box(blake3::hash(&data[chunk.offset..][..chunk.length]));
    }
    writeln!(stdout(), "{:.2}", start.elapsed().as_secs_f64())?;
    Ok(())
}
