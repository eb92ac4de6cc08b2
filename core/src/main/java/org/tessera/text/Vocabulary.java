package org.tessera.text;

import java.util.BitSet;
import java.util.Map;

/**
 * What the tokenizer files say, checked.
 *
 * @param ids by token, as the files write tokens
 * @param bytes by id, null for an id that no token has
 * @param byteIds the ids of the 256 tokens that stand for one byte
 * @param merges none of which gives an added token
 * @param special ids that decoding may skip
 */
@SuppressWarnings("ArrayRecordComponent") // never compared, never handed out
record Vocabulary(
    Map<String, Integer> ids,
    byte[][] bytes,
    int[] byteIds,
    MergeTable merges,
    AddedTokens added,
    BitSet special) {}
