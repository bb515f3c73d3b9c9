//! A few threads that hash passwords, and a bounded queue before them.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use argon2::Block;
use tokio::sync::oneshot;

use super::network;
use crate::error::{Error, Result, panic_message};

/// Lets a few hash passwords at a time and a few more wait; whoever comes beyond is told to come back.
/// No address takes more than half of the places, so that one alone cannot close sign-in for the others.
pub(crate) struct HashingGate(Arc<Shared>);

struct Shared {
    places: usize,
    threads: usize,
    refused: AtomicU64,
    taken: Mutex<Taken>,
    queue: Mutex<Queue>,
    /// Somebody waits, or the gate is closed.
    called: Condvar,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    is_closed: bool,
}

/// How much there is to hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashingLoad {
    pub threads: usize,
    /// How many may wait.
    pub queue: usize,
    pub busy: usize,
    pub waiting: usize,
    /// How many were told to come back.
    pub refused: u64,
}

type Work = Box<dyn FnOnce(&mut HashingMemory) + Send>;

impl HashingGate {
    /// The threads end with the gate.
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        let shared = Shared {
            places: threads + queue,
            threads,
            refused: AtomicU64::new(0),
            taken: Mutex::default(),
            queue: Mutex::default(),
            called: Condvar::new(),
        };
        let gate = Self(Arc::new(shared));
        for _ in 0..threads {
            let shared = Arc::clone(&gate.0);
            thread::spawn(move || shared.hash());
        }
        gate
    }

    /// Waits for a thread, unless too many wait already, and does the work in it. Of whoever is gone by then nothing is done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        address: Option<IpAddr>,
        work: impl FnOnce(&mut HashingMemory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(place) = self.take_place(address.map(network)) else {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::unavailable("too many people are signing in at once"));
        };
        let (answer, answered) = oneshot::channel();
        self.0.push(Box::new(move |memory| {
            if answer.is_closed() {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(|| work(memory)));
            drop(place);
            let panicked =
                |panic: Box<dyn std::any::Any + Send>| Err(Error::internal(format!("hashing panicked: {}", panic_message(&*panic))));
            let _ = answer.send(done.unwrap_or_else(panicked));
        }));
        answered.await.map_err(Error::internal)?
    }

    /// How it stands.
    pub(crate) fn load(&self) -> HashingLoad {
        let (places, threads) = (self.0.places, self.0.threads);
        let (waiting, taken) = (self.0.queue().waiting.len(), self.0.taken().all);
        let refused = self.0.refused.load(Ordering::Relaxed);
        HashingLoad { threads, queue: places - threads, busy: taken.saturating_sub(waiting).min(threads), waiting, refused }
    }

    fn take_place(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut taken = self.0.taken();
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.0.places || of_address >= self.0.places.div_ceil(2) {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(Place { gate: Arc::clone(&self.0), address })
    }
}

impl Drop for HashingGate {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.called.notify_all();
    }
}

impl Shared {
    fn push(&self, work: Work) {
        self.queue().waiting.push_back(work);
        self.called.notify_one();
    }

    /// What a thread does. It takes up the next work by itself: to be woken for each would cost more than there is to hand over.
    fn hash(&self) {
        let mut memory = HashingMemory::default();
        while let Some(work) = self.next(&mut memory) {
            work(&mut memory);
        }
    }

    /// Who has nothing to do keeps no memory.
    fn next(&self, memory: &mut HashingMemory) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                return Some(work);
            }
            if queue.is_closed {
                return None;
            }
            *memory = HashingMemory::default();
            queue = self.called.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place before or at a thread, free again when dropped. It goes with the work: a request that is dropped meanwhile does not
/// free its place early.
struct Place {
    gate: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.gate.taken();
        taken.all -= 1;
        if let Entry::Occupied(mut of_address) = taken.by_address.entry(self.address) {
            *of_address.get_mut() -= 1;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
    }
}

/// What a thread hashes in, again and again: the system need not clean other memory first.
#[derive(Default)]
pub(crate) struct HashingMemory(Vec<Block>);

impl HashingMemory {
    /// So many blocks, whatever is in them.
    pub(crate) fn blocks(&mut self, count: usize) -> Result<&mut [Block]> {
        if let Some(missing) = count.checked_sub(self.0.len()) {
            self.0.try_reserve_exact(missing).map_err(|_| Error::unavailable("there is no memory for hashing passwords"))?;
            self.0.resize(count, Block::new());
        }
        Ok(&mut self.0[..count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_half_of_the_places_and_no_more() {
        let gate = HashingGate::new(1, 3);
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let places: Vec<_> = (0..2).map(|_| gate.take_place(address("192.0.2.1")).unwrap()).collect();
        assert!(gate.take_place(address("192.0.2.1")).is_none());
        let other = gate.take_place(address("192.0.2.2")).unwrap();
        let third = gate.take_place(address("192.0.2.3")).unwrap();
        assert!(gate.take_place(address("192.0.2.4")).is_none());
        drop((places, other, third));
        assert!(gate.0.taken().by_address.is_empty());
        assert!(gate.take_place(address("192.0.2.1")).is_some());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_the_thread_goes_on() {
        let gate = HashingGate::new(1, 1);
        let broken = gate.run(None, |_| -> Result<()> { panic!("told to panic") }).await;
        assert!(broken.unwrap_err().to_string().contains("told to panic"));
        assert_eq!(gate.run(None, |memory| Ok(memory.blocks(8)?.len())).await.unwrap(), 8);
        assert_eq!(gate.0.taken().all, 0);
    }

    /// Tells how much memory the work found, and leaves some.
    fn found(memory: &mut HashingMemory) -> Result<usize> {
        let found = memory.0.len();
        memory.blocks(8).map(|_| found)
    }

    #[test]
    fn memory_is_handed_on_to_whoever_waits() {
        let gate = HashingGate::new(0, 1);
        let mut memory = HashingMemory::default();
        memory.blocks(8).unwrap();
        gate.0.push(Box::new(|_| ()));
        assert!(gate.0.next(&mut memory).is_some());
        assert_eq!(memory.0.len(), 8);
    }

    #[tokio::test]
    async fn a_thread_that_has_nothing_to_do_keeps_no_memory() {
        let gate = HashingGate::new(1, 1);
        gate.run(None, found).await.unwrap();
        let mut kept = true;
        for _ in 0..10_000 {
            // The work may come before the thread has seen that nobody waits.
            kept = kept && gate.run(None, found).await.unwrap() > 0;
        }
        assert!(!kept);
    }
}
