package org.tessera.text;

/**
 * A token that is matched verbatim in trusted text instead of being merged from bytes.
 *
 * @param special whether decoding may skip it
 */
record AddedToken(int id, String content, boolean special) {}
