//! How much may be under way at once, in all and with one host. Nobody waits in line: who finds no place is told so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Places {
    in_all: usize,
    of_one_host: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_host: HashMap<String, usize>,
}

/// One of the places, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    host: String,
}

impl Places {
    pub(super) fn new(in_all: usize, of_one_host: usize) -> Arc<Self> {
        Arc::new(Self { in_all, of_one_host, taken: Mutex::default() })
    }

    /// A place for something with this host, unless it has its share, or all are taken.
    pub(super) fn take(self: &Arc<Self>, host: &str) -> Option<Place> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut taken = self.taken();
        let of_host = taken.by_host.get(&host).copied().unwrap_or_default();
        if taken.in_all >= self.in_all || of_host >= self.of_one_host {
            return None;
        }
        taken.in_all += 1;
        taken.by_host.insert(host.clone(), of_host + 1);
        Some(Place { places: Arc::clone(self), host })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.in_all -= 1;
        if let Some(of_host) = taken.by_host.get_mut(&self.host) {
            *of_host -= 1;
            if *of_host == 0 {
                taken.by_host.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_its_share_however_it_is_written_and_leaves_the_rest_to_others() {
        let places = Places::new(3, 2);
        let held = [places.take("a.example"), places.take("A.example.")].map(Option::unwrap);
        assert!(places.take("a.example").is_none());
        let other = places.take("b.example").unwrap();
        assert!(places.take("c.example").is_none());
        drop(other);
        assert!(places.take("c.example").is_some());
        drop(held);
        assert!(places.taken().by_host.is_empty() && places.taken().in_all == 0);
    }
}
