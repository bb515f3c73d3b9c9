//! A few threads that hash passwords, and a bounded queue before them that is shared fairly by address.

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

/// Lets a few hash passwords at a time and a few more wait; whoever comes beyond is told to come back. Addresses take turns, and
/// where no place is free, the address with most who wait gives one to an address with fewer: a flood waits for itself.
pub(crate) struct HashingGate(Arc<Shared>);

struct Shared {
    threads: usize,
    refused: AtomicU64,
    queue: Mutex<Queue>,
    /// Somebody waits, or the gate is closed.
    called: Condvar,
}

struct Queue {
    /// How many hash or wait at most.
    places: usize,
    hashing: usize,
    waiting: usize,
    /// Who waits, by address; none is empty.
    of_address: HashMap<Option<IpAddr>, VecDeque<Work>>,
    /// Whose turn is next.
    turns: VecDeque<Option<IpAddr>>,
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
        let queue = Mutex::new(Queue::with(threads + queue));
        let gate = Self(Arc::new(Shared { threads, refused: AtomicU64::new(0), queue, called: Condvar::new() }));
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
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.0);
        let taken = self.0.take(
            address.map(network),
            Box::new(move |memory| {
                let hashing = Hashing(shared);
                if answer.is_closed() {
                    return;
                }
                let done = catch_unwind(AssertUnwindSafe(|| work(memory)));
                drop(hashing);
                let panicked =
                    |panic: Box<dyn std::any::Any + Send>| Err(Error::internal(format!("hashing panicked: {}", panic_message(&*panic))));
                let _ = answer.send(done.unwrap_or_else(panicked));
            }),
        );
        // Work that gave its place to another is dropped unanswered.
        let answered = if taken { answered.await.ok() } else { None };
        answered.unwrap_or_else(|| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            Err(Error::unavailable("too many people are signing in at once"))
        })
    }

    /// How it stands.
    pub(crate) fn load(&self) -> HashingLoad {
        let (threads, refused) = (self.0.threads, self.0.refused.load(Ordering::Relaxed));
        let queue = self.0.queue();
        HashingLoad { threads, queue: queue.places - threads, busy: queue.hashing, waiting: queue.waiting, refused }
    }
}

impl Drop for HashingGate {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.called.notify_all();
    }
}

impl Shared {
    /// Whether there was a place.
    fn take(&self, address: Option<IpAddr>, work: Work) -> bool {
        let mut queue = self.queue();
        let is_there = queue.make_room(address);
        if is_there {
            queue.push(address, work);
            self.called.notify_one();
        }
        is_there
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
            if let Some(work) = queue.pop() {
                return Some(work);
            }
            if queue.is_closed {
                return None;
            }
            *memory = HashingMemory::default();
            queue = self.called.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn with(places: usize) -> Self {
        Self { places, hashing: 0, waiting: 0, of_address: HashMap::new(), turns: VecDeque::new(), is_closed: false }
    }

    /// Whether one more of this address finds a place. Where none is free, the last of the address with most gives way, if that
    /// leaves it no fewer than the newcomer's has then.
    fn make_room(&mut self, address: Option<IpAddr>) -> bool {
        if self.hashing + self.waiting < self.places {
            return true;
        }
        let own = self.of_address.get(&address).map_or(0, VecDeque::len);
        let most = self.of_address.values_mut().max_by_key(|waiting| waiting.len());
        let Some(most) = most.filter(|most| most.len() >= own + 2) else { return false };
        most.pop_back();
        self.waiting -= 1;
        true
    }

    fn push(&mut self, address: Option<IpAddr>, work: Work) {
        let waiting = self.of_address.entry(address).or_default();
        if waiting.is_empty() {
            self.turns.push_back(address);
        }
        waiting.push_back(work);
        self.waiting += 1;
    }

    /// The next work, which has a thread's place from now on.
    fn pop(&mut self) -> Option<Work> {
        let address = self.turns.pop_front()?;
        let Entry::Occupied(mut waiting) = self.of_address.entry(address) else { return None };
        let work = waiting.get_mut().pop_front();
        if waiting.get().is_empty() {
            waiting.remove();
        } else {
            self.turns.push_back(address);
        }
        self.waiting -= 1;
        self.hashing += 1;
        work
    }
}

/// A place at a thread, free again when dropped. It goes with the work: a request that is dropped meanwhile does not free its place
/// early.
struct Hashing(Arc<Shared>);

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.queue().hashing -= 1;
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
    use futures_util::FutureExt;

    use super::*;

    fn address(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    /// A queue before no thread, and whoever got a place there, by their addresses.
    fn queued(places: usize, comers: &[u8]) -> (Queue, Vec<(u8, oneshot::Receiver<()>)>) {
        let mut queue = Queue::with(places);
        let mut waiting = Vec::new();
        for &comer in comers {
            if queue.make_room(Some(address(comer))) {
                let (answer, answered) = oneshot::channel::<()>();
                queue.push(
                    Some(address(comer)),
                    Box::new(move |_| {
                        let _ = answer.send(());
                    }),
                );
                waiting.push((comer, answered));
            }
        }
        waiting.retain_mut(|(_, answered)| answered.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        (queue, waiting)
    }

    fn addresses(waiting: &[(u8, oneshot::Receiver<()>)]) -> Vec<u8> {
        waiting.iter().map(|(comer, _)| *comer).collect()
    }

    /// A flood waits for itself: it takes every free place, and gives them back to whoever comes from elsewhere.
    #[test]
    fn the_address_with_most_who_wait_gives_its_places_to_others() {
        let (_, waiting) = queued(4, &[1, 1, 1, 1, 1, 1]);
        assert_eq!(addresses(&waiting), [1, 1, 1, 1], "alone it may have all");
        let (_, waiting) = queued(4, &[1, 1, 1, 1, 2]);
        assert_eq!(addresses(&waiting), [1, 1, 1, 2]);
        let (queue, waiting) = queued(4, &[1, 1, 1, 1, 2, 2, 2, 1, 1]);
        assert_eq!((addresses(&waiting), queue.waiting), (vec![1, 1, 2, 2], 4), "as many each, and neither takes more");
        let (_, waiting) = queued(4, &[1, 2, 3, 4, 5]);
        assert_eq!(addresses(&waiting), [1, 2, 3, 4], "nobody has more than one");
    }

    #[test]
    fn addresses_take_turns() {
        let (mut queue, mut waiting) = queued(6, &[1, 1, 1, 1, 2, 3]);
        let mut served = Vec::new();
        while let Some(work) = queue.pop() {
            work(&mut HashingMemory::default());
            let at = waiting.iter_mut().position(|(_, answered)| answered.try_recv().is_ok()).unwrap();
            served.push(waiting.remove(at).0);
        }
        assert_eq!(served, [1, 2, 3, 1, 1, 1]);
        assert!(queue.of_address.is_empty() && queue.turns.is_empty());
        assert_eq!((queue.waiting, queue.hashing), (0, 6));
    }

    #[tokio::test]
    async fn whoever_gave_way_is_told_to_come_back() {
        let gate = HashingGate::new(0, 2);
        let mut flood: Vec<_> = (0..2).map(|_| Box::pin(gate.run(Some(address(1)), |_| Ok(())))).collect();
        for request in &mut flood {
            assert!(request.as_mut().now_or_never().is_none());
        }
        let mut newcomer = Box::pin(gate.run(Some(address(2)), |_| Ok(())));
        assert!(newcomer.as_mut().now_or_never().is_none());
        let refused = flood.pop().unwrap().await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
        assert_eq!(gate.load(), HashingLoad { threads: 0, queue: 2, busy: 0, waiting: 2, refused: 1 });
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_the_thread_goes_on() {
        let gate = HashingGate::new(1, 1);
        let broken = gate.run(None, |_| -> Result<()> { panic!("told to panic") }).await;
        assert!(broken.unwrap_err().to_string().contains("told to panic"));
        assert_eq!(gate.run(None, |memory| Ok(memory.blocks(8)?.len())).await.unwrap(), 8);
        assert_eq!(gate.load().busy, 0);
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
        assert!(gate.0.take(None, Box::new(|_| ())));
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
