package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tessera.cli.CrowdReport.Crowd;
import org.tessera.cli.CrowdReport.Way;
import org.tessera.cli.CrowdRun.Client;
import org.tessera.cli.CrowdRun.Tokens;
import org.tessera.error.GenerationException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** From what clients heard to what is reported. */
class CrowdReportTest {
  private static final CrowdRun FAST =
      new CrowdRun(2, List.of(0.5, 1.0, 1.5, 2.0), List.of(0.010, 0.020, 0.030), 0, 40);
  private static final CrowdRun SLOW =
      new CrowdRun(2.5, List.of(0.6, 1.1, 1.6, 2.5), List.of(0.010, 0.020, 0.100), 16, 40);

  @Test
  void aQuantileIsOneOfTheValues() {
    List<Double> hundred =
        IntStream.rangeClosed(1, 100).mapToObj(Double::valueOf).collect(Collectors.toList());
    Collections.reverse(hundred);
    assertThat(CrowdReport.quantile(hundred, 0.5)).isEqualTo(50);
    assertThat(CrowdReport.quantile(hundred, 0.99)).isEqualTo(99);
    assertThat(CrowdReport.quantile(hundred, 1)).isEqualTo(100);
    assertThat(CrowdReport.quantile(List.of(3.0, 1.0), 0.5)).isEqualTo(1);
    assertThat(CrowdReport.quantile(List.of(3.0, 1.0), 0.99)).isEqualTo(3);
    assertThat(CrowdReport.quantile(List.of(7.0), 0.01)).isEqualTo(7);
    assertThat(CrowdReport.quantile(List.of(), 0.5)).isZero();
  }

  @Test
  void ratesAreOfWholeRunsAndTimesOfAllAnswers() {
    Way way = new Way(List.of(FAST, SLOW, FAST));
    assertThat(way.requestsPerSecond().median()).isEqualTo(2);
    assertThat(way.requestsPerSecond().lowest()).isEqualTo(1.6);
    assertThat(way.tokensPerSecond().median()).isEqualTo(20);
    assertThat(way.firstTokenMillis(0.5)).isEqualTo(1100);
    assertThat(way.firstTokenMillis(0.99)).isEqualTo(2500);
    assertThat(way.betweenTokensMillis(0.5)).isEqualTo(20);
    assertThat(way.betweenTokensMillis(0.99)).isEqualTo(100);
  }

  @Test
  void theCostIsWhatIsMissing() {
    Crowd crowd = new Crowd(4, new Way(List.of(FAST)), new Way(List.of(SLOW)));
    assertThat(crowd.serverCostPercent()).isCloseTo(20, within(1e-9));
    Crowd same = new Crowd(4, new Way(List.of(FAST)), new Way(List.of(FAST)));
    assertThat(same.serverCostPercent()).isZero();
  }

  @Test
  void theReportHoldsAllFigures() {
    CrowdReport report =
        new CrowdReport("tiny", "a machine", "everything on cpu", 1.5, 4096, 300, 5, 100, 10);
    Crowd measured = new Crowd(4, new Way(List.of(FAST)), new Way(List.of(SLOW)));
    assertThat(report.head())
        .contains("a picture of 300 x 300, 5 slices, 100 positions, 10 new tokens");
    assertThat(CrowdReport.lines(measured))
        .containsPattern("4 clients, direct +2.00 +20 +1000 +2000 +20.0 +30.0")
        .containsPattern("4 clients, server +1.60 +16 +1100 +2500 +20.0 +100.0 +costs 20.0 %");
    JsonNode json = JsonMapper.shared().readTree(report.toJson(List.of(measured)));
    assertThat(json.get("prompt_tokens").asInt()).isEqualTo(100);
    JsonNode crowd = json.get("crowds").get(0);
    assertThat(crowd.get("clients").asInt()).isEqualTo(4);
    assertThat(crowd.at("/direct/requests_per_second/median").asDouble()).isEqualTo(2);
    assertThat(crowd.at("/server/requests_per_second/worst").asDouble()).isEqualTo(1.6);
    assertThat(crowd.at("/server/first_token_ms/p99").asDouble()).isEqualTo(2500);
    assertThat(crowd.at("/direct/between_tokens_ms/p50").asDouble()).isEqualTo(20);
    assertThat(crowd.at("/server/cached_tokens").asInt()).isEqualTo(16);
    assertThat(crowd.get("server_cost_percent").asDouble()).isCloseTo(20, within(1e-9));
  }

  @Test
  void allClientsAskAtTheSameTime() throws Exception {
    CyclicBarrier together = new CyclicBarrier(3);
    Client client =
        piece -> {
          together.await(20, TimeUnit.SECONDS);
          piece.run();
          Thread.sleep(20);
          piece.run();
          return new Tokens(1, 3);
        };
    CrowdRun run = CrowdRun.of(Collections.nCopies(3, client));
    assertThat(run.firstTokenSeconds()).hasSize(3);
    assertThat(run.gapSeconds()).hasSize(3).allMatch(gap -> gap >= 0.015);
    assertThat(run.seconds()).isGreaterThanOrEqualTo(Collections.max(run.gapSeconds()));
    assertThat(run.cachedTokens()).isEqualTo(3);
    assertThat(run.newTokens()).isEqualTo(9);
  }

  @Test
  void whatAClientFailsWithIsThrown() {
    Client fine = _ -> new Tokens(0, 1);
    Client broken =
        _ -> {
          throw new GenerationException("no more");
        };
    assertThatThrownBy(() -> CrowdRun.of(List.of(fine, broken)))
        .isInstanceOf(GenerationException.class)
        .hasMessage("no more");
  }
}
