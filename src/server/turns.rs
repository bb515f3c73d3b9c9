//! Turns: of those who want the same thing, one at a time has it, and a few wait in line.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Who waits for what.
pub(crate) struct Turns<K: Copy + Eq + Hash> {
    places: usize,
    lines: Mutex<HashMap<K, Line>>,
}

struct Line {
    places_taken: usize,
    turn: Arc<Semaphore>,
}

/// A place in a line, given up when dropped.
struct Place<K: Copy + Eq + Hash> {
    turns: Arc<Turns<K>>,
    key: K,
}

/// Held by the one whose turn it is.
pub(crate) struct Turn<K: Copy + Eq + Hash> {
    _turn: OwnedSemaphorePermit,
    _place: Place<K>,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// So many at most are in one line, the first of them included.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, lines: Mutex::default() })
    }

    /// Waits for the turn, unless too many wait already.
    pub(crate) async fn take(self: &Arc<Self>, key: K) -> Result<Turn<K>> {
        let (place, turn) = self.join(key).ok_or_else(|| Error::unavailable("too many ask for the same at once"))?;
        Ok(Turn { _turn: turn.acquire_owned().await.map_err(Error::internal)?, _place: place })
    }

    fn join(self: &Arc<Self>, key: K) -> Option<(Place<K>, Arc<Semaphore>)> {
        let mut lines = self.lines();
        let line = lines.entry(key).or_insert_with(|| Line { places_taken: 0, turn: Arc::new(Semaphore::new(1)) });
        if line.places_taken >= self.places {
            return None;
        }
        line.places_taken += 1;
        Some((Place { turns: Arc::clone(self), key }, Arc::clone(&line.turn)))
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<K, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if let Some(line) = lines.get_mut(&self.key) {
            line.places_taken -= 1;
            if line.places_taken == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_same_waits_and_another_does_not() {
        let turns = Turns::new(2);
        let first = turns.take("a").await.unwrap();
        assert!(turns.take("b").now_or_never().is_some());
        let mut second = Box::pin(turns.take("a"));
        assert!((&mut second).now_or_never().is_none());
        assert!(turns.take("a").now_or_never().is_some_and(|turn| turn.is_err()), "the line is full");
        drop(first);
        drop(second.await.unwrap());
        assert!(turns.lines().is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_the_line_leaves_nothing_behind() {
        let turns = Turns::new(2);
        let first = turns.take("a").await.unwrap();
        let mut second = Box::pin(turns.take("a"));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second);
        assert!(turns.lines().is_empty());
    }
}
