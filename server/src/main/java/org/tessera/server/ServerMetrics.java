package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;
import java.util.regex.Pattern;
import org.tessera.api.ChatResponse;
import org.tessera.api.Tessera;
import org.tessera.engine.EngineStats;

/** What happens, in Prometheus' format: vLLM's names behind our prefix, and pictures' own. */
final class ServerMetrics {
  private static final String PREFIX = "tessera_";
  private static final String VLLM_PREFIX = "vllm:";

  /** Our prefix where the name of a metric begins, not in the value of a label. */
  private static final Pattern NAMES =
      Pattern.compile("^(# HELP |# TYPE |)" + PREFIX, Pattern.MULTILINE);

  private static final Pattern CACHE_CONFIG =
      Pattern.compile("^(# HELP |# TYPE |)" + PREFIX + "cache_config", Pattern.MULTILINE);

  private static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
  private static final Duration[] BUCKETS = {
    Duration.ofMillis(1),
    Duration.ofMillis(5),
    Duration.ofMillis(10),
    Duration.ofMillis(20),
    Duration.ofMillis(50),
    Duration.ofMillis(100),
    Duration.ofMillis(250),
    Duration.ofMillis(500),
    Duration.ofSeconds(1),
    Duration.ofMillis(2500),
    Duration.ofSeconds(5),
    Duration.ofSeconds(10),
    Duration.ofSeconds(30),
    Duration.ofSeconds(60)
  };

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final boolean vllmNames;

  ServerMetrics(Tessera tessera, ServerOptions options) {
    vllmNames = options.vllmMetrics();
    registry
        .config()
        .commonTags("model_name", options.modelName().orElse(tessera.info().name()), "engine", "0");
    gauge("num_requests_running", tessera, EngineStats::running);
    gauge("num_requests_waiting", tessera, EngineStats::waiting);
    gauge(
        "kv_cache_usage_perc", tessera, stats -> (double) stats.usedKvBlocks() / stats.kvBlocks());
    count("prefix_cache_queries", tessera, EngineStats::queriedTokens);
    count("prefix_cache_hits", tessera, EngineStats::cachedTokens);
    count("num_preemptions", tessera, EngineStats::preemptions);
    int blocks = tessera.stats().kvBlocks();
    Gauge.builder(PREFIX + "cache_config", () -> 1)
        .tag("block_size", String.valueOf(tessera.info().contextTokens() / blocks))
        .tag("num_gpu_blocks", String.valueOf(blocks))
        .tag("enable_prefix_caching", "True")
        .register(registry);
  }

  /** Answers that one request asked for have begun. */
  void started(int choices, int maxTokens) {
    summary("request_params_n").record(choices);
    summary("request_params_max_tokens").record(maxTokens);
  }

  /**
   * From one piece of an answer to the next, which is a token but where characters need several.
   */
  void nextToken(long nanos) {
    timer("inter_token_latency").record(nanos, TimeUnit.NANOSECONDS);
  }

  /** From the request to the first piece of its answer. */
  void firstToken(long nanos) {
    timer("time_to_first_token").record(nanos, TimeUnit.NANOSECONDS);
  }

  /**
   * @param first whether this answer is the one by which prompt and pictures are counted
   */
  void finished(ChatResponse response, long nanos, boolean first) {
    registry
        .counter(PREFIX + "request_success", "finished_reason", response.finishReason().lowerCase())
        .increment();
    registry.counter(PREFIX + "generation_tokens").increment(response.usage().completionTokens());
    summary("request_generation_tokens").record(response.usage().completionTokens());
    timer("e2e_request_latency").record(nanos, TimeUnit.NANOSECONDS);
    double decodeMillis = 0;
    if (response.timings().decodeTokensPerSecond() > 0) {
      double millis = 1000 / response.timings().decodeTokensPerSecond();
      record("request_time_per_output_token", millis);
      decodeMillis = millis * (response.usage().completionTokens() - 1);
    }
    record("request_decode_time", decodeMillis);
    record(
        "request_inference_time",
        response.timings().visionMillis() + response.timings().prefillMillis() + decodeMillis);
    if (!first) {
      return;
    }
    registry.counter(PREFIX + "prompt_tokens").increment(response.usage().promptTokens());
    summary("request_prompt_tokens").record(response.usage().promptTokens());
    record("request_queue_time", response.timings().queueMillis());
    record("request_prefill_time", response.timings().prefillMillis());
    int slices = response.usage().imageSlices();
    if (slices > 0) {
      int encoded = Math.min(slices, response.usage().encodedSlices());
      registry.counter(PREFIX + "image_slices").increment(slices);
      registry.counter(PREFIX + "image_slice_cache_hits").increment(slices - encoded);
      record("image_vision", response.timings().visionMillis());
    }
  }

  /** A picture was decoded. */
  void decoded(long nanos) {
    timer("image_decode").record(nanos, TimeUnit.NANOSECONDS);
  }

  void scrape(ServerRequest request, ServerResponse response) {
    // The registry takes the end off a gauge's name that says what it is.
    String text = CACHE_CONFIG.matcher(registry.scrape()).replaceAll("$0_info");
    if (vllmNames) {
      text += NAMES.matcher(text).replaceAll("$1" + VLLM_PREFIX);
    }
    response
        .header(HeaderNames.CONTENT_TYPE, CONTENT_TYPE)
        .send(text.getBytes(StandardCharsets.UTF_8));
  }

  private void gauge(String name, Tessera tessera, ToDoubleFunction<EngineStats> value) {
    Gauge.builder(PREFIX + name, tessera, model -> value.applyAsDouble(model.stats()))
        .register(registry);
  }

  private void count(String name, Tessera tessera, ToDoubleFunction<EngineStats> value) {
    FunctionCounter.builder(PREFIX + name, tessera, model -> value.applyAsDouble(model.stats()))
        .register(registry);
  }

  private void record(String name, double millis) {
    timer(name).record((long) (millis * 1e6), TimeUnit.NANOSECONDS);
  }

  private Timer timer(String name) {
    return Timer.builder(PREFIX + name).serviceLevelObjectives(BUCKETS).register(registry);
  }

  private DistributionSummary summary(String name) {
    return DistributionSummary.builder(PREFIX + name)
        .serviceLevelObjectives(1, 10, 50, 100, 500, 1000, 2000, 5000, 10_000, 20_000)
        .register(registry);
  }
}
