package org.tessera.cli;

import java.util.Locale;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;

/** The line about an answer that follows it. */
final class TimingsLine {
  private TimingsLine() {}

  static String of(ChatResponse response) {
    StringBuilder line = new StringBuilder("[");
    append(line, "%d prompt tokens", response.usage().promptTokens());
    if (response.usage().imageTokens() > 0) {
      append(line, " (%d of pictures)", response.usage().imageTokens());
    }
    if (response.usage().cachedTokens() > 0) {
      append(line, ", %d in the cache", response.usage().cachedTokens());
    }
    append(line, "; first token after %.2f s", response.timings().timeToFirstTokenMillis() / 1000);
    append(line, "; %d tokens", response.usage().completionTokens());
    if (response.timings().decodeTokensPerSecond() > 0) {
      append(line, " at %.1f tokens/s", response.timings().decodeTokensPerSecond());
    }
    if (response.finishReason() == FinishReason.LENGTH) {
      line.append("; cut off by --max-new-tokens or the context");
    } else if (response.finishReason() == FinishReason.CANCELLED) {
      line.append("; stopped");
    }
    return line.append(']').toString();
  }

  private static void append(StringBuilder line, String format, Object value) {
    line.append(String.format(Locale.ROOT, format, value));
  }
}
