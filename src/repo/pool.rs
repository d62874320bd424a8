//! A fixed set of worker threads for hashing, compression and their opposites.
//!
//! Results come back through a ticket each, so that callers take them in the order in which they asked.

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

impl<T> Ticket<T> {
    /// Waits for the result.
    pub fn wait(self) -> T {
        self.0.recv().expect("a worker ends a job or the process")
    }

    /// A ticket whose result is there already.
    pub fn ready(value: T) -> Self {
        let (sender, receiver) = bounded(1);
        let _ = sender.send(value);
        Self(receiver)
    }
}

impl Pool {
    /// Starts this many threads.
    pub fn new(workers: usize) -> Self {
        let (jobs, queue) = unbounded::<Job>();
        let thread = |number| {
            let queue = queue.clone();
            spawn(&format!("worker-{number}"), move || queue.iter().for_each(|job| job()))
                .expect("the system has room for a few threads")
        };
        Self { threads: (0..workers.max(1)).map(thread).collect(), jobs: Some(jobs) }
    }

    /// Queues a job. Callers bound how many of their tickets are open.
    pub fn submit<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        let (sender, receiver) = bounded(1);
        let run = Box::new(move || {
            // The claimant may have given up; then nobody wants the result.
            let _ = sender.send(job());
        });
        self.jobs.as_ref().expect("open until dropped").send(run).expect("workers live as long as the pool");
        Ticket(receiver)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A worker that panicked has already said so; its claimant fails on the missing result.
            let _ = thread.join();
        }
    }
}
