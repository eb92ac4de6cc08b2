package org.tessera.text;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds added tokens in text, the leftmost first and of several there the longest: a trie. */
final class AddedTokens {
  /** Longer ones are refused, which bounds the cost of a search per character. */
  static final int MAX_CHARACTERS = 256;

  private final Node root = new Node();

  AddedTokens(Collection<AddedToken> tokens) {
    for (AddedToken token : tokens) {
      Node node = root;
      for (char c : token.content().toCharArray()) {
        node = node.children.computeIfAbsent(c, unused -> new Node());
      }
      node.token = token;
    }
  }

  /** The longest added token that starts exactly here, or null. */
  @Nullable AddedToken at(String text, int start) {
    AddedToken longest = null;
    Node node = root.children.get(text.charAt(start));
    for (int i = start + 1; node != null; i++) {
      if (node.token != null) {
        longest = node.token;
      }
      node = i < text.length() ? node.children.get(text.charAt(i)) : null;
    }
    return longest;
  }

  private static final class Node {
    private final Map<Character, Node> children = new HashMap<>();
    private @Nullable AddedToken token;
  }
}
