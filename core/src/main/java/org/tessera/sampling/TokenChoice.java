package org.tessera.sampling;

import java.util.List;

/**
 * A chosen token with its log-probability and the likeliest alternatives, all of the model's own
 * distribution: before penalties, temperature and filters, but after a {@link TokenConstraint}.
 *
 * @param logprob natural logarithm of the token's probability; NaN where nobody asked for it
 * @param top likeliest first, of equal ones the lower id first; the chosen token is among them only
 *     where it is that likely
 */
public record TokenChoice(int tokenId, double logprob, List<Alternative> top) {
  public TokenChoice {
    top = List.copyOf(top);
  }

  /** One of the likeliest tokens. */
  public record Alternative(int tokenId, double logprob) {}
}
