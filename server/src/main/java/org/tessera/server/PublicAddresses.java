package org.tessera.server;

import java.net.Inet4Address;
import java.net.InetAddress;

/**
 * Addresses of the public internet, as IANA's registries of special-purpose addresses leave them.
 * All others may be this machine, its network or something that translates to them.
 */
final class PublicAddresses {
  private PublicAddresses() {}

  static boolean contains(InetAddress address) {
    byte[] bytes = address.getAddress();
    return address instanceof Inet4Address ? isPublicV4(bytes) : isPublicV6(bytes);
  }

  private static boolean isPublicV4(byte[] b) {
    int address = b[0] << 24 | (b[1] & 0xff) << 16 | (b[2] & 0xff) << 8 | (b[3] & 0xff);
    return !(in(address, 0, 8) // this network
        || in(address, v4(10, 0, 0), 8)
        || in(address, v4(100, 64, 0), 10) // carriers' own
        || in(address, v4(127, 0, 0), 8)
        || in(address, v4(169, 254, 0), 16) // link-local, and clouds' metadata
        || in(address, v4(172, 16, 0), 12)
        || in(address, v4(192, 0, 0), 24)
        || in(address, v4(192, 0, 2), 24)
        || in(address, v4(192, 88, 99), 24) // 6to4 relays
        || in(address, v4(192, 168, 0), 16)
        || in(address, v4(198, 18, 0), 15)
        || in(address, v4(198, 51, 100), 24)
        || in(address, v4(203, 0, 113), 24)
        || in(address, v4(224, 0, 0), 3)); // multicast and reserved
  }

  /** Mapped, compatible and NAT64 addresses are outside of 2000::/3. */
  private static boolean isPublicV6(byte[] b) {
    int head = b[0] << 24 | (b[1] & 0xff) << 16 | (b[2] & 0xff) << 8 | (b[3] & 0xff);
    return in(head, 0x2000_0000, 3)
        && !in(head, 0x2001_0000, 23) // Teredo and other protocols
        && !in(head, 0x2001_0db8, 32) // documentation
        && !in(head, 0x2002_0000, 16) // 6to4 holds an IPv4 address
        && !in(head, 0x3fff_0000, 20); // documentation
  }

  private static boolean in(int address, int network, int prefixBits) {
    return (address ^ network) >>> (32 - prefixBits) == 0;
  }

  private static int v4(int first, int second, int third) {
    return first << 24 | second << 16 | third << 8;
  }
}
