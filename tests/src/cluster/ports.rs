//! Free ports on loopback that stay free while their server is down.

use std::net::{Ipv4Addr, TcpListener};

use super::{Error, keys};

/// Below this are ports that other programs like to use, and our ranges.
const LOWEST: u16 = 20_000;
/// Ranges are found between this and [`LOWEST`], so that none holds a port of [`free_ports`].
const RANGES_FROM: u16 = 12_000;
/// Linux's default start of the range from which outgoing connections get their ports.
const EPHEMERAL_FROM: u16 = 32_768;

/// `count` different ports on which nobody listens.
///
/// They lie below the range of outgoing connections: a client that keeps trying to reach a server that was killed could
/// otherwise be given the very port as its own, connect to itself, and keep the server from coming back.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Error> {
    let below = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .filter(|low| *low > LOWEST + 1_000)
        .unwrap_or(EPHEMERAL_FROM);
    // All are held until the last one is found, so that none is given out twice.
    let mut held: Vec<(u16, TcpListener)> = Vec::with_capacity(count);
    for _ in 0..10_000 {
        if held.len() == count {
            break;
        }
        let port = LOWEST + random_below(below - LOWEST)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        let source = std::io::Error::new(std::io::ErrorKind::AddrInUse, "10,000 tries found too few");
        return Err(Error::System { act: "find free ports on 127.0.0.1", source });
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

/// The first of `count` ports in a row on which nobody listens, apart from all that [`free_ports`] gives out.
pub fn free_port_range(count: u16) -> Result<u16, Error> {
    for _ in 0..1_000 {
        let first = RANGES_FROM + random_below(LOWEST - RANGES_FROM - count)?;
        if (first..first + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return Ok(first);
        }
    }
    let source = std::io::Error::new(std::io::ErrorKind::AddrInUse, "1,000 tries found none");
    Err(Error::System { act: "find free ports in a row on 127.0.0.1", source })
}

fn random_below(bound: u16) -> Result<u16, Error> {
    let random = u64::from_str_radix(&keys::random_token()?[..15], 16).unwrap_or_default();
    Ok(u16::try_from(random % u64::from(bound)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{LOWEST, free_port_range, free_ports};

    #[test]
    fn ports_are_distinct_and_can_be_bound() {
        let ports = free_ports(8).unwrap();
        let distinct: std::collections::BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), 8);
        for port in ports {
            std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }

    #[test]
    fn a_range_is_free_and_apart_from_single_ports() {
        let first = free_port_range(48).unwrap();
        assert!(first + 48 <= LOWEST);
        for port in first..first + 48 {
            std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}
