package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.tessera.api.DeviceOptions;
import org.tessera.api.GenerationOptions;
import org.tessera.api.InputOptions;
import org.tessera.api.LoadOptions;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.PlanException;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.tensor.DType;
import picocli.CommandLine;

/** From options to values. */
class OptionsTest {
  @Test
  void presetsFollowTheOptions() {
    assertThat(generation()).isEqualTo(GenerationOptions.sampling());
    assertThat(generation("--num-beams", "1")).isEqualTo(GenerationOptions.sampling());
    assertThat(generation("--num-beams", "3")).isEqualTo(GenerationOptions.beamSearch());
    assertThat(generation("--num-beams", "5"))
        .isEqualTo(GenerationOptions.beamSearch().withNumBeams(5));
    assertThat(generation("--temperature", "0")).isEqualTo(GenerationOptions.greedy());
    assertThat(generation("--temperature", "0.01"))
        .isEqualTo(GenerationOptions.sampling().withTemperature(0.01f));
  }

  @Test
  void whatIsGivenReplacesThePreset() {
    assertThat(
            generation(
                "--temperature",
                "0",
                "--repetition-penalty",
                "1.2",
                "--top-k",
                "7",
                "--top-p",
                "0.5",
                "--max-new-tokens",
                "9000",
                "--min-new-tokens",
                "3000",
                "--stop",
                "a b",
                "--stop",
                "c",
                "--seed",
                "-5",
                "--logprobs",
                "3"))
        .isEqualTo(
            GenerationOptions.greedy()
                .withRepetitionPenalty(1.2f)
                .withTopK(7)
                .withTopP(0.5f)
                .withMaxNewTokens(9000)
                .withMinNewTokens(3000)
                .withStop("a b", "c")
                .withSeed(-5)
                .withLogprobs(3));
    assertThat(generation("--num-beams", "3", "--repetition-penalty", "1"))
        .isEqualTo(GenerationOptions.beamSearch().withRepetitionPenalty(1));
  }

  @Test
  void videosHaveSettingsOfTheirOwn() {
    assertThat(input().toOptions(false)).isEqualTo(InputOptions.defaults());
    assertThat(input().toOptions(true)).isEqualTo(InputOptions.video());
    assertThat(input("--max-slice-nums", "1", "--use-image-id", "true").toOptions(true))
        .isEqualTo(InputOptions.video().withMaxSliceNums(1).withUseImageId(true));
    assertThat(
            input(
                    "--exif",
                    "ignore",
                    "--truncate",
                    "--compat",
                    "original",
                    "--max-input-tokens",
                    "99")
                .toOptions(false))
        .isEqualTo(
            InputOptions.defaults()
                .withApplyExif(false)
                .withTruncate(true)
                .withCompatOriginal(true)
                .withMaxInputTokens(99));
  }

  @Test
  void modelOptions() {
    ModelArguments arguments =
        CommandLine.populateCommand(
            new ModelArguments(),
            "--device=cuda:0,1",
            "--context-tokens=100",
            "--trust-plugins=plug",
            "--model=m");
    assertThat(arguments.model).contains(Path.of("m"));
    LoadOptions options = arguments.toLoadOptions();
    assertThat(options.devices().device()).isEqualTo("cuda:0,1");
    assertThat(options.dtype()).isEmpty();
    assertThat(options.contextTokens()).isEqualTo(OptionalInt.of(100));
    assertThat(options.trustedPlugins()).contains(Path.of("plug"));
    assertThat(dtype("bf16")).isEqualTo(DType.BF16);
    assertThat(dtype("fp16")).isEqualTo(DType.F16);
    assertThat(dtype("fp32")).isEqualTo(DType.F32);
  }

  @Test
  void optionsOfDevices() {
    DeviceOptions none = devices();
    assertThat(none).isEqualTo(DeviceOptions.AUTO);

    DeviceOptions copies = devices("--tensor-parallel=2", "--replicas=3");
    assertThat(copies.tensorParallel()).hasValue(2);
    assertThat(copies.replicas()).hasValue(3);

    DeviceOptions mapped = devices("--device-map=balanced", "--max-memory=0=10GiB,cpu=2GB");
    assertThat(mapped.deviceMap()).contains(DeviceMapChoice.parse("balanced"));
    assertThat(mapped.maxMemory().orElseThrow())
        .containsExactly(
            Map.entry(DeviceId.gpu(0), 10L << 30), Map.entry(DeviceId.CPU, 2_000_000_000L));

    assertThatThrownBy(() -> devices("--replicas=0")).isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() -> devices("--max-memory=lots")).isInstanceOf(PlanException.class);
  }

  private static DeviceOptions devices(String... arguments) {
    return CommandLine.populateCommand(new ModelArguments(), arguments).toLoadOptions().devices();
  }

  private static DType dtype(String name) {
    return CommandLine.populateCommand(new ModelArguments(), "--dtype", name)
        .toLoadOptions()
        .dtype()
        .orElseThrow();
  }

  private static GenerationOptions generation(String... arguments) {
    return CommandLine.populateCommand(new GenerationArguments(), arguments).toOptions();
  }

  private static InputArguments input(String... arguments) {
    return CommandLine.populateCommand(new InputArguments(), arguments);
  }
}
