package org.tessera.guide;

/**
 * A grammar as a nondeterministic pushdown automaton over bytes. Node {@code i} is one of: a range
 * of bytes that leads to {@code out}; an unconditional branch to {@code out} and {@code other}; a
 * call of the rule that starts at {@code out} and returns to {@code other}; the end of a rule; or a
 * dead end. Immutable.
 *
 * @param operations what each node is
 * @param first first byte of a range
 * @param last last byte of a range
 * @param heights stack frames that a node needs on the shortest way to the end of its rule; {@link
 *     #UNREACHABLE} where the end is out of reach
 * @param start node of the outermost rule
 * @param classOf for each of the 256 bytes the class of bytes that no node tells apart
 * @param byteOf one byte of each class
 */
@SuppressWarnings("ArrayRecordComponent") // never compared, never handed out
record Program(
    byte[] operations,
    byte[] first,
    byte[] last,
    int[] out,
    int[] other,
    int[] heights,
    int start,
    byte[] classOf,
    byte[] byteOf) {
  static final byte BYTES = 0;
  static final byte BRANCH = 1;
  static final byte CALL = 2;
  static final byte END = 3;
  static final byte FAIL = 4;

  /**
   * Calls within calls: values of JSON nest about this deep where their nesting is not bounded by a
   * schema. Further ones are not offered to the model.
   */
  static final int MAX_DEPTH = 64;

  static final int UNREACHABLE = Integer.MAX_VALUE / 2;

  boolean matches(int node, int unsignedByte) {
    return (first[node] & 0xFF) <= unsignedByte && unsignedByte <= (last[node] & 0xFF);
  }
}
