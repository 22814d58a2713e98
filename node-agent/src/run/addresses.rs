//! The addresses of this host's interfaces.

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use std::io;
use std::net::IpAddr;

/// The bound of `report.agent.addresses`.
const MAX: usize = 16;

/// Addresses that peers may reach: of interfaces that are up, neither loopback nor link-local; IPv4 first.
pub(super) fn of_interfaces() -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = all()?.into_iter().filter(|address| is_reachable(*address)).collect();
    found.sort();
    found.dedup();
    found.truncate(MAX);
    Ok(found)
}

fn is_reachable(address: IpAddr) -> bool {
    !address.is_loopback()
        && !address.is_unspecified()
        && !address.is_multicast()
        && match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }
}

fn all() -> io::Result<Vec<IpAddr>> {
    let up = getifaddrs()?.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let address = |interface: InterfaceAddress| {
        let socket = interface.address?;
        let v4 = socket.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| socket.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    Ok(up.filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_are_none_that_peers_reach() {
        for text in ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0", "224.0.0.1"] {
            assert!(!is_reachable(text.parse().unwrap()), "{text}");
        }
        assert!(is_reachable("10.0.0.7".parse().unwrap()) && is_reachable("fd00::7".parse().unwrap()));
    }

    #[test]
    fn the_loopback_interface_of_this_machine_is_read() {
        assert!(all().unwrap().contains(&IpAddr::from([127, 0, 0, 1])));
    }
}
