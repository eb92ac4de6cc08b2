package org.tessera.cli;

import java.util.List;
import java.util.Map;
import org.tessera.api.ChatResponse;
import org.tessera.api.Timings;
import org.tessera.api.TokenLogprob;
import org.tessera.api.Usage;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** An answer as {@code chat --json} prints it. */
final class ChatJson {
  private ChatJson() {}

  /**
   * @param loadMillis what loading the model took
   * @param deviceMap where each module runs
   */
  static String of(ChatResponse response, double loadMillis, Map<String, String> deviceMap) {
    ObjectNode json = JsonMapper.shared().createObjectNode();
    json.put("text", response.text());
    putIds(json.putArray("token_ids"), response.tokenIds());
    putIds(json.putArray("prompt_token_ids"), response.promptTokenIds());
    json.put("finish_reason", response.finishReason().lowerCase());
    putUsage(json.putObject("usage"), response.usage());
    putTimings(json.putObject("timings"), response.timings(), loadMillis);
    ObjectNode map = json.putObject("device_map");
    deviceMap.forEach(map::put);
    if (!response.logprobs().isEmpty()) {
      ArrayNode logprobs = json.putArray("logprobs");
      response.logprobs().forEach(logprob -> putLogprob(logprobs.addObject(), logprob));
    }
    return json.toString();
  }

  private static void putIds(ArrayNode array, List<Integer> ids) {
    ids.forEach(array::add);
  }

  private static void putUsage(ObjectNode json, Usage usage) {
    json.put("prompt_tokens", usage.promptTokens());
    json.put("completion_tokens", usage.completionTokens());
    json.put("image_tokens", usage.imageTokens());
  }

  private static void putTimings(ObjectNode json, Timings timings, double loadMillis) {
    json.put("load_ms", rounded(loadMillis));
    json.put("preprocess_ms", rounded(timings.preprocessMillis()));
    json.put("vision_ms", rounded(timings.visionMillis()));
    json.put("prefill_ms", rounded(timings.prefillMillis()));
    json.put("time_to_first_token_ms", rounded(timings.timeToFirstTokenMillis()));
    json.put("decode_tokens_per_second", rounded(timings.decodeTokensPerSecond()));
  }

  private static void putLogprob(ObjectNode json, TokenLogprob logprob) {
    json.put("token_id", logprob.tokenId());
    json.put("text", logprob.text());
    json.put("logprob", logprob.logprob());
    ArrayNode top = json.putArray("top");
    for (TokenLogprob.Alternative alternative : logprob.top()) {
      top.addObject()
          .put("token_id", alternative.tokenId())
          .put("text", alternative.text())
          .put("logprob", alternative.logprob());
    }
  }

  /** To a thousandth: what is below is noise. */
  private static double rounded(double value) {
    return Math.round(value * 1000) / 1000.0;
  }
}
