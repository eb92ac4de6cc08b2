package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.DeviceId;

class PlacementTextTest {
  private static final DeviceId CPU = DeviceId.CPU;
  private static final DeviceId FIRST = DeviceId.gpu(0);
  private static final DeviceId SECOND = DeviceId.gpu(1);

  private final PlacementText text =
      new PlacementText(id -> id.isGpu() ? "gpu:" + id.index() : id.label());

  @Test
  void oneDeviceHasEverything() {
    Deployment deployment = Deployment.on(FIRST, 28);

    assertThat(text.line(deployment)).isEqualTo("everything on gpu:0");
    assertThat(text.deviceMap(deployment)).containsExactly(entry("", "gpu:0"));
  }

  @Test
  void layersThatAreCutAreOnAllTheirDevices() {
    Deployment deployment = of(Replica.cutOver(List.of(FIRST, SECOND), 28));

    assertThat(text.line(deployment)).isEqualTo("every layer cut over gpu:0 and gpu:1");
    assertThat(text.deviceMap(deployment))
        .containsEntry("llm.model.layers.0-27", "gpu:0,gpu:1")
        .containsEntry("vpm", "gpu:0,gpu:1");
    assertThat(text.line(of(Replica.cutOver(List.of(CPU, CPU), 2))))
        .isEqualTo("every layer cut over 2 ranks of cpu");
  }

  @Test
  void stagesAreToldWithPicturesAndHead() {
    Deployment deployment =
        of(
            new Replica(
                List.of(
                    new Stage(List.of(CPU), 0, 0),
                    new Stage(List.of(FIRST, SECOND), 0, 20),
                    new Stage(List.of(CPU), 20, 21),
                    new Stage(List.of(FIRST), 21, 21)),
                List.of(SECOND)));

    assertThat(text.line(deployment))
        .isEqualTo(
            "embeddings on cpu, layers 0 to 19 cut over gpu:0 and gpu:1, layer 20 on cpu, head on"
                + " gpu:0, pictures on gpu:1");
    assertThat(text.deviceMap(deployment))
        .containsExactly(
            entry("llm.model.embed_tokens", "cpu"),
            entry("llm.model.layers.0-19", "gpu:0,gpu:1"),
            entry("llm.model.layers.20", "cpu"),
            entry("llm.model.norm", "gpu:0"),
            entry("llm.lm_head", "gpu:0"),
            entry("vpm", "gpu:1"),
            entry("resampler", "gpu:1"));
  }

  @Test
  void copiesAreCounted() {
    Deployment deployment =
        new Deployment(
            List.of(
                Replica.cutOver(List.of(FIRST), 28),
                new Replica(List.of(new Stage(List.of(SECOND), 0, 28)), List.of())));

    assertThat(text.line(deployment))
        .isEqualTo("2 copies: everything on gpu:0; everything on gpu:1, no pictures");
    assertThat(text.deviceMap(deployment)).containsExactly(entry("", "gpu:0,gpu:1"));
  }

  private static Deployment of(Replica replica) {
    return new Deployment(List.of(replica));
  }
}
