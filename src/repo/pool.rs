//! A fixed set of worker threads for hashing, compression and their opposites.
//!
//! Results come back through a ticket each, so that callers take them in the order in which they asked.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::RepoError;
use crate::backend::{BackendError, Cause};
use crate::sync::{JoinHandle, Receiver, Sender, bounded, spawn, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// Worker threads. Dropping the pool lets them finish what is queued and waits for them.
#[derive(Debug)]
pub struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// The claim to one job's result.
#[derive(Debug)]
pub struct Ticket<T>(Receiver<T>);

/// A worker ended before its job did: the job panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLost;

impl From<WorkerLost> for RepoError {
    fn from(_: WorkerLost) -> Self {
        Self::NotWhole("a worker thread ended before its work was done")
    }
}

impl RepoError {
    /// The system has no room for a thread.
    pub fn no_thread(error: io::Error) -> Self {
        BackendError::new("start", "another thread", Cause::Io(error)).into()
    }

    /// A thread panicked that was to give something back.
    pub fn lost_thread() -> Self {
        let why = "it panicked; this is a defect of sfarc: report it";
        BackendError::new("wait for", "a thread that reads", Cause::Io(io::Error::other(why))).into()
    }
}

impl<T> Ticket<T> {
    /// Waits for the result. Fails if the job panicked.
    pub fn wait(self) -> Result<T, WorkerLost> {
        self.0.recv().map_err(|_| WorkerLost)
    }

    /// A ticket whose result is there already.
    pub fn ready(value: T) -> Self {
        let (sender, receiver) = bounded(1);
        let _ = sender.send(value);
        Self(receiver)
    }
}

impl Pool {
    /// Starts this many threads, or as many as there is room for. Fails if there is none for a single one.
    pub fn new(workers: usize) -> Result<Self, RepoError> {
        let (jobs, queue) = unbounded::<Job>();
        let thread = |number| {
            let queue = queue.clone();
            spawn(&format!("worker-{number}"), move || queue.iter().for_each(run)).map_err(RepoError::no_thread)
        };
        let mut threads = vec![thread(0)?];
        threads.extend((1..workers).map_while(|number| thread(number).ok()));
        Ok(Self { threads, jobs: Some(jobs) })
    }

    /// Queues a job. Callers bound how many of their tickets are open.
    pub fn submit<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        let (sender, receiver) = bounded(1);
        let run = Box::new(move || {
            // The claimant may have given up; then nobody wants the result.
            let _ = sender.send(job());
        });
        // Without workers it is dropped, and whoever waits for the result learns that there is none.
        let _ = self.jobs.as_ref().expect("open until dropped").send(run);
        Ticket(receiver)
    }
}

/// Runs a job. One that panics takes its ticket with it, and the worker goes on: whoever waits for the result learns
/// that there is none, and nobody else is kept waiting.
fn run(job: Job) {
    // The hook of panics has said what happened; a job shares nothing that it could leave half changed.
    let _ = catch_unwind(AssertUnwindSafe(job));
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
