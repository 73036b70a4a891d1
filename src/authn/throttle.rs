//! How long the answer to a login that failed is held back.
//!
//! In: failures, by address and by the name that was given. Out: a time. Never: a good credential held back, so nobody can lock
//! anybody out; more than so much memory; a difference between names that exist and names that do not.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{TokenHash, hash};

/// So many failures in a row cost nothing.
const FREE: f64 = 20.0;

/// The first delay beyond them, doubled with every other failure, and the longest.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// How many failures are forgotten in a second.
const FORGOTTEN: f64 = 1.0;

/// How many addresses and how many names are remembered; the one that failed longest ago makes room.
const REMEMBERED: usize = 4096;

/// Failures of late. One for the whole process: for SQL and for HTTP.
#[derive(Debug, Default)]
pub struct Throttle {
    addresses: Mutex<Table<Option<IpAddr>>>,
    names: Mutex<Table<TokenHash>>,
}

impl Throttle {
    /// Notes a failure from an address (`None`: a Unix socket) in the name of somebody, if a name was given, and tells how long to
    /// hold back the answer.
    pub fn failed(&self, address: Option<IpAddr>, name: Option<&str>, now: Instant) -> Duration {
        let by_address = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).failed(address.map(network), now);
        let by_name = name.map(|name| self.names.lock().unwrap_or_else(PoisonError::into_inner).failed(hash(name.as_bytes()), now));
        by_address.max(by_name.unwrap_or_default())
    }
}

/// What one host can have: an IPv4 address, or the /64 of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Failures>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    /// A bucket that leaks.
    level: f64,
    last: Instant,
}

impl Failures {
    fn level(self, now: Instant) -> f64 {
        (self.level - now.saturating_duration_since(self.last).as_secs_f64() * FORGOTTEN).max(0.0)
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn failed(&mut self, key: K, now: Instant) -> Duration {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0.retain(|_, failures| failures.level(now) > 0.0);
            if self.0.len() >= REMEMBERED
                && let Some(oldest) = self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key)
            {
                self.0.remove(&oldest);
            }
        }
        let failures = self.0.entry(key).or_insert(Failures { level: 0.0, last: now });
        // Whoever goes on and on is at the longest delay, and not for hours after.
        failures.level = (failures.level(now) + 1.0).min(2.0 * FREE);
        failures.last = now;
        delay(failures.level)
    }
}

fn delay(level: f64) -> Duration {
    let beyond = level - FREE;
    if beyond <= 0.0 { Duration::ZERO } else { FIRST.mul_f64((beyond / 2.0).exp2()).min(LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(last)))
    }

    fn fail(throttle: &Throttle, address: Option<IpAddr>, now: Instant) {
        throttle.failed(address, Some("ann"), now);
    }

    #[test]
    fn failures_cost_more_and_more_up_to_a_bound_and_are_forgotten() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let delays: Vec<Duration> = (0..60).map(|_| throttle.failed(address(1), None, now)).collect();
        assert!(delays[..20].iter().all(Duration::is_zero), "{delays:?}");
        assert!(delays[20] > Duration::ZERO && delays.is_sorted(), "{delays:?}");
        assert_eq!(delays[59], LONGEST);
        assert_eq!(throttle.failed(address(1), None, now + Duration::from_secs(40)), Duration::ZERO);
    }

    #[test]
    fn one_address_does_not_slow_another() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        (0..60).for_each(|_| fail(&throttle, address(1), now));
        assert_eq!(throttle.failed(address(2), Some("bob"), now), Duration::ZERO);
        assert_eq!(throttle.failed(None, None, now), Duration::ZERO);
        assert_eq!(throttle.failed(address(3), Some("ann"), now), LONGEST, "many addresses that guess at one name are one guesser");
    }

    #[test]
    fn a_host_has_one_ipv4_address_or_64_bits_of_ipv6() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for last in 0..60u128 {
            throttle.failed(Some(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + last))), None, now);
        }
        let of = |bits| throttle.failed(Some(IpAddr::V6(Ipv6Addr::from_bits(bits))), None, now);
        assert_eq!(of((0x2001_0db8 << 96) + 99), LONGEST);
        assert_eq!(of((0x2001_0db8 << 96) + (1 << 64)), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_makes_room() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        (0..60).for_each(|_| fail(&throttle, address(0), now + Duration::from_millis(1)));
        for other in 1..10_000 {
            throttle.failed(address(other), Some(&other.to_string()), now);
        }
        assert_eq!(throttle.addresses.lock().unwrap().0.len(), REMEMBERED);
        assert_eq!(throttle.names.lock().unwrap().0.len(), REMEMBERED);
        assert_eq!(throttle.failed(address(0), None, now + Duration::from_millis(1)), LONGEST);
    }
}
