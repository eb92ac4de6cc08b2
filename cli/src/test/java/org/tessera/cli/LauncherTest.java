package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The launcher, with a project, JDKs and a Maven wrapper that only say how they were called. */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {
  private static final List<String> TOOLS =
      List.of("sh", "sed", "find", "dirname", "readlink", "uname", "head", "mkdir", "mv", "rm");

  @TempDir Path temp;
  private Path project;
  private Path tools;

  @BeforeEach
  void makeProject() throws IOException {
    temp = temp.toRealPath();
    project = Files.createDirectories(temp.resolve("a project"));
    Files.copy(Path.of(System.getProperty("project.root"), "tessera"), project.resolve("tessera"));
    executable(project.resolve("tessera"));
    Files.createDirectories(project.resolve("cli/target/lib"));
    Files.createDirectories(project.resolve("core/src/main"));
    write(project.resolve("pom.xml"), "");
    write(project.resolve("core/pom.xml"), "");
    write(project.resolve("core/src/main/A.java"), "");
    script(project.resolve("mvnw"), "echo \"$PWD: mvnw $*, JAVA_HOME=$JAVA_HOME\"");
    age(project, Instant.parse("2026-01-01T00:00:00Z"));
    write(project.resolve("cli/target/lib/tessera-cli-1.jar"), "");
    // Nothing on the PATH but what the launcher says it needs: no java of this machine.
    tools = Files.createDirectories(temp.resolve("tools"));
    for (String tool : TOOLS) {
      for (String place : List.of("/usr/bin", "/bin")) {
        Path found = Path.of(place, tool);
        if (Files.isExecutable(found)) {
          script(tools.resolve(tool), "exec %s \"$@\"".formatted(found));
        }
      }
    }
  }

  @Test
  void withoutJdkItSaysHowToGetOne() throws Exception {
    Result result = run(Map.of("JAVA_HOME", jdk("17.0.15").toString()), "doctor");

    assertThat(result.status()).isEqualTo(1);
    assertThat(result.output())
        .contains("tessera: no JDK 25 or later was found")
        .contains("https://adoptium.net")
        .doesNotContain("java called");
  }

  @Test
  void takesJavaHomeWhereItIsNewEnough() throws Exception {
    Path jdk = jdk("25.0.1");
    Result result = run(Map.of("JAVA_HOME", jdk.toString()), "chat");

    assertThat(result.status()).isEqualTo(7);
    assertThat(result.output())
        .contains("java called from " + jdk)
        .contains("<--add-modules>", "<jdk.incubator.vector>")
        .contains("<-Dtessera.home=" + project + ">")
        .contains("<org.tessera.cli.Main>", "<chat>");
  }

  @Test
  void prefersTesseraJavaHomeAndRefusesOneThatIsTooOld() throws Exception {
    Path jdk25 = jdk("25");
    Path jdk26 = jdk("26.0.1");
    assertThat(
            run(Map.of("JAVA_HOME", jdk25.toString(), "TESSERA_JAVA_HOME", jdk26.toString()))
                .output())
        .contains("java called from " + jdk26);

    Result old =
        run(Map.of("JAVA_HOME", jdk25.toString(), "TESSERA_JAVA_HOME", jdk("21.0.2").toString()));
    assertThat(old.status()).isEqualTo(1);
    assertThat(old.output()).contains("TESSERA_JAVA_HOME is").contains("no JDK 25 or later");
  }

  @Test
  void findsJdkThroughLinksOnThePath() throws Exception {
    Path jdk = jdk("25.0.1");
    Path link = Files.createSymbolicLink(temp.resolve("java-link"), jdk.resolve("bin/java"));
    Files.createSymbolicLink(tools.resolve("java"), link);

    assertThat(run(Map.of()).output()).contains("java called from " + jdk);
  }

  @Test
  void findsJdkInThePlacesGiven() throws Exception {
    jdk("17.0.2");
    Path jdk = jdk("25.0.2");

    assertThat(run(Map.of("TESSERA_JDK_PLACES", "/does/not/exist:" + jdk.getParent())).output())
        .contains("java called from " + jdk);
  }

  @Test
  void worksThroughLinkFromAnotherDirectoryWithBlanksInArguments() throws Exception {
    Path bin = Files.createDirectories(temp.resolve("bin dir"));
    Files.createSymbolicLink(bin.resolve("tessera"), Path.of("../a project/tessera"));
    ProcessBuilder builder =
        new ProcessBuilder(
            "sh", bin.resolve("tessera").toString(), "chat", "--prompt", "what is  this?", "");
    builder.directory(temp.resolve("tools").toFile());

    Result result = run(builder, Map.of("JAVA_HOME", jdk("25.0.1").toString()));

    assertThat(result.output())
        .contains("<-Dtessera.home=" + project + ">")
        .contains("<what is  this?>\n<>\n");
  }

  @Test
  void passesOptionsForJavaAndLocale() throws Exception {
    Map<String, String> environment =
        Map.of("JAVA_HOME", jdk("25").toString(), "TESSERA_JAVA_OPTS", "-Xmx1g -Da=b");

    assertThat(run(environment).output()).contains("<-Xmx1g>", "<-Da=b>");
    if (OS.LINUX.isCurrentOs()) {
      assertThat(run(environment).output()).contains("LC_ALL=C.UTF-8");
    }
  }

  @Test
  void buildsOnceAndAgainWhenSourcesChange() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("25").toString());
    assertThat(run(environment).output()).doesNotContain("mvnw");

    Path source = project.resolve("core/src/main/A.java");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(3)));
    Files.setLastModifiedTime(
        project.resolve("cli/target/lib/tessera-cli-1.jar"),
        FileTime.from(Instant.parse("2026-01-02T00:00:00Z")));
    Result changed = run(environment);
    assertThat(changed.output())
        .contains("tessera: building")
        .contains(project + ": mvnw ")
        .contains("package, JAVA_HOME=" + environment.get("JAVA_HOME"))
        .contains("java called");

    Files.setLastModifiedTime(source, FileTime.from(Instant.parse("2026-01-03T00:00:00Z")));
    assertThat(run(environment).output()).doesNotContain("mvnw");
  }

  @Test
  void failedBuildIsSaid() throws Exception {
    Files.delete(project.resolve("cli/target/lib/tessera-cli-1.jar"));
    script(project.resolve("mvnw"), "exit 1");

    Result result = run(Map.of("JAVA_HOME", jdk("25").toString()));

    assertThat(result.status()).isEqualTo(1);
    assertThat(result.output()).contains("the build failed").doesNotContain("java called");
  }

  @Test
  void runtimeWithoutCompilerCannotBuild() throws Exception {
    Files.delete(project.resolve("cli/target/lib/tessera-cli-1.jar"));
    Path runtime = jdk("25");
    Files.delete(runtime.resolve("bin/javac"));

    Result result = run(Map.of("JAVA_HOME", runtime.toString()));

    assertThat(result.status()).isEqualTo(1);
    assertThat(result.output()).contains("a JDK is needed, not a JRE");
  }

  private record Result(int status, String output) {}

  private Result run(Map<String, String> environment, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("sh", project.resolve("tessera").toString()));
    command.addAll(List.of(arguments));
    return run(new ProcessBuilder(command), environment);
  }

  private Result run(ProcessBuilder builder, Map<String, String> environment) throws Exception {
    Path outputFile = temp.resolve("output");
    builder.environment().clear();
    builder.environment().putAll(Map.of("PATH", tools.toString(), "HOME", temp.toString()));
    builder.environment().put("TESSERA_JDK_PLACES", temp.resolve("nothing").toString());
    builder.environment().putAll(environment);
    builder.redirectErrorStream(true).redirectOutput(outputFile.toFile());
    Process process = builder.start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return new Result(process.exitValue(), Files.readString(outputFile, StandardCharsets.UTF_8));
  }

  /** A JDK whose java says how it was called and exits with 7. */
  private Path jdk(String version) throws IOException {
    Path home = Files.createDirectories(temp.resolve("jdks/jdk " + version));
    Files.createDirectories(home.resolve("bin"));
    write(home.resolve("release"), "IMPLEMENTOR=\"Nobody\"\nJAVA_VERSION=\"" + version + "\"\n");
    script(
        home.resolve("bin/java"),
        """
        echo "java called from %s, LC_ALL=${LC_ALL:-}"
        for argument; do echo "<$argument>"; done
        exit 7\
        """
            .formatted(home));
    script(home.resolve("bin/javac"), "exit 0");
    return home;
  }

  private static void script(Path file, String content) throws IOException {
    write(file, "#!/bin/sh\n" + content + "\n");
    executable(file);
  }

  private static void executable(Path file) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private static void write(Path file, String content) throws IOException {
    Files.writeString(file, content);
  }

  private static void age(Path directory, Instant time) throws IOException {
    try (var files = Files.walk(directory)) {
      for (Path file : files.toList()) {
        Files.setLastModifiedTime(file, FileTime.from(time));
      }
    }
  }
}
