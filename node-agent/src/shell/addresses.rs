//! The addresses of this host's interfaces, by getifaddrs(3). The one place of the shell with system calls of its own.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

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
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: getifaddrs writes one pointer to a list that it owns, or fails.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: `next` is an element of the list that getifaddrs made and nobody has freed.
        let interface = unsafe { &*next };
        let is_up = interface.ifa_flags & u32::try_from(libc::IFF_UP).unwrap_or(1) != 0;
        if is_up && !interface.ifa_addr.is_null() {
            // SAFETY: a non-null ifa_addr points to a socket address of the family that it names.
            found.extend(unsafe { address(interface.ifa_addr) });
        }
        next = interface.ifa_next;
    }
    // SAFETY: `first` came from getifaddrs and is freed once; nothing borrowed from the list is left.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

/// # Safety
///
/// `socket` must point to a socket address that is as long as its family asks.
unsafe fn address(socket: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: every socket address begins with its family; the caller vouches for the pointer.
    match i32::from(unsafe { (*socket).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in; read_unaligned asks for no alignment.
            let v4 = unsafe { ptr::read_unaligned(socket.cast::<libc::sockaddr_in>()) };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6; read_unaligned asks for no alignment.
            let v6 = unsafe { ptr::read_unaligned(socket.cast::<libc::sockaddr_in6>()) };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
        }
        _ => None,
    }
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
