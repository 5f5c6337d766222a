//! IPAM, netlink, nftables, bridges, endpoints, published ports and names.
