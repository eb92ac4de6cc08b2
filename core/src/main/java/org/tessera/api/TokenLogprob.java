package org.tessera.api;

import java.util.List;

/**
 * The log-probability of a generated token and its likeliest alternatives, before temperature and
 * filters, likeliest first.
 */
public record TokenLogprob(int tokenId, String text, double logprob, List<Alternative> top) {
  public TokenLogprob {
    top = List.copyOf(top);
  }

  /** One alternative. */
  public record Alternative(int tokenId, String text, double logprob) {}
}
