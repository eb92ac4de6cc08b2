package org.tessera.api;

import java.util.List;
import java.util.OptionalLong;
import org.tessera.error.InvalidRequestException;

/**
 * How tokens are chosen, under Transformers' names. The presets are those of MiniCPM-V's own {@code
 * chat()}; {@code with…} methods change one option.
 *
 * @param maxNewTokens tokens generated at most, the terminator included; at least 1
 * @param minNewTokens terminators are impossible before this many tokens
 * @param temperature divides the logits; 0 is greedy
 * @param topK keeps the k likeliest tokens; 0 keeps all
 * @param topP keeps the likeliest tokens that together reach this probability, in (0, 1]
 * @param repetitionPenalty for tokens generated already; 1 is none, above 1 discourages
 * @param presencePenalty what the logit of a token loses that was generated already, from -2 to 2
 * @param frequencyPenalty what it loses for each time that it was, from -2 to 2
 * @param numBeams above 1 is beam search, which does not sample
 * @param stop the answer ends before the first of these strings
 * @param seed of this request's random numbers; absent for a fresh one. A seed gives the same
 *     tokens from the same logits, to the last bit and whatever else runs beside the request. The
 *     logits themselves depend on what shares a step by the rounding of sums: of float32 on the
 *     CPU, of BF16 or F16 on a GPU. So a text can part from an earlier one where a draw falls that
 *     close to the border between two tokens, which on a CPU takes an accident and on a GPU a long
 *     text. CPU and GPU draw different tokens from one seed, and so does a GPU with and without
 *     logprobs or a response format
 * @param logprobs how many alternatives to report for each token; 0 is none
 */
public record GenerationOptions(
    int maxNewTokens,
    int minNewTokens,
    float temperature,
    int topK,
    float topP,
    float repetitionPenalty,
    float presencePenalty,
    float frequencyPenalty,
    int numBeams,
    List<String> stop,
    OptionalLong seed,
    int logprobs) {
  private static final int DEFAULT_MAX_NEW_TOKENS = 2048;

  public GenerationOptions {
    stop = List.copyOf(stop);
    require(maxNewTokens >= 1, "max_new_tokens must be at least 1, not " + maxNewTokens);
    require(
        minNewTokens >= 0 && minNewTokens <= maxNewTokens,
        "min_new_tokens must be from 0 to max_new_tokens, not " + minNewTokens);
    require(
        temperature >= 0 && Float.isFinite(temperature),
        "temperature must be 0 or more, not " + temperature);
    require(topK >= 0, "top_k must be 0 or more, not " + topK);
    require(topP > 0 && topP <= 1, "top_p must be above 0 and at most 1, not " + topP);
    require(
        repetitionPenalty > 0 && Float.isFinite(repetitionPenalty),
        "repetition_penalty must be above 0, not " + repetitionPenalty);
    require(
        Math.abs(presencePenalty) <= 2,
        "presence_penalty must be from -2 to 2, not " + presencePenalty);
    require(
        Math.abs(frequencyPenalty) <= 2,
        "frequency_penalty must be from -2 to 2, not " + frequencyPenalty);
    require(
        numBeams == 1 || (presencePenalty == 0 && frequencyPenalty == 0),
        "presence_penalty and frequency_penalty are not for beam search: num_beams must be 1");
    require(numBeams >= 1 && numBeams <= 16, "num_beams must be from 1 to 16, not " + numBeams);
    require(stop.stream().noneMatch(String::isEmpty), "a stop string must not be empty");
    require(
        logprobs == 0 || numBeams == 1,
        "logprobs are not reported by beam search: num_beams must be 1");
    require(logprobs >= 0 && logprobs <= 20, "logprobs must be from 0 to 20, not " + logprobs);
  }

  /** The original's {@code sampling=True}: temperature 0.7, top-p 0.8, top-k 100, penalty 1.05. */
  public static GenerationOptions sampling() {
    return new GenerationOptions(
        DEFAULT_MAX_NEW_TOKENS,
        0,
        0.7f,
        100,
        0.8f,
        1.05f,
        0f,
        0f,
        1,
        List.of(),
        OptionalLong.empty(),
        0);
  }

  /** The original's {@code sampling=False}: three beams, penalty 1.2. */
  public static GenerationOptions beamSearch() {
    return new GenerationOptions(
        DEFAULT_MAX_NEW_TOKENS, 0, 0f, 0, 1f, 1.2f, 0f, 0f, 3, List.of(), OptionalLong.empty(), 0);
  }

  /** Always the likeliest token, no penalty. */
  public static GenerationOptions greedy() {
    return new GenerationOptions(
        DEFAULT_MAX_NEW_TOKENS, 0, 0f, 0, 1f, 1f, 0f, 0f, 1, List.of(), OptionalLong.empty(), 0);
  }

  public GenerationOptions withMaxNewTokens(int value) {
    return new GenerationOptions(
        value,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withMinNewTokens(int value) {
    return new GenerationOptions(
        maxNewTokens,
        value,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withTemperature(float value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        value,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withTopK(int value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        value,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withTopP(float value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        value,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withRepetitionPenalty(float value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        value,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withPresencePenalty(float value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        value,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withFrequencyPenalty(float value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        value,
        numBeams,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withNumBeams(int value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        value,
        stop,
        seed,
        logprobs);
  }

  public GenerationOptions withStop(String... values) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        List.of(values),
        seed,
        logprobs);
  }

  public GenerationOptions withSeed(long value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        OptionalLong.of(value),
        logprobs);
  }

  public GenerationOptions withLogprobs(int value) {
    return new GenerationOptions(
        maxNewTokens,
        minNewTokens,
        temperature,
        topK,
        topP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        numBeams,
        stop,
        seed,
        value);
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new InvalidRequestException(message);
    }
  }
}
