package org.tessera.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The rules of docs/architecture.md that core must keep. */
@AnalyzeClasses(packages = "org.tessera", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
  @ArchTest
  static final ArchRule coreNamesNeitherCudaNorHttpNorCommands =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.tessera.cuda..",
              "org.tessera.server..",
              "org.tessera.cli..",
              "java.net.http..",
              "com.sun.net.httpserver..");

  @ArchTest
  static final ArchRule modelsNameNoBackend =
      noClasses()
          .that()
          .resideInAnyPackage("org.tessera.model..", "org.tessera.parallel..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.tessera.cpu..", "org.tessera.cuda..");

  @ArchTest
  static final ArchRule theVectorModuleIsForInnerLoops =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.tessera.cpu..")
          .and()
          .doNotHaveFullyQualifiedName("org.tessera.image.VectorPixels")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("jdk.incubator.vector..");

  @ArchTest
  static final ArchRule theCpuBackendIsFoundAsAServiceOnly =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.tessera.cpu..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.tessera.cpu..");

  @ArchTest
  static final ArchRule valuesKnowNothing =
      noClasses()
          .that()
          .resideInAnyPackage("org.tessera.tensor..", "org.tessera.error..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.tessera.api..",
              "org.tessera.config..",
              "org.tessera.cpu..",
              "org.tessera.device..",
              "org.tessera.engine..",
              "org.tessera.image..",
              "org.tessera.kv..",
              "org.tessera.model..",
              "org.tessera.ops..",
              "org.tessera.parallel..",
              "org.tessera.plan..",
              "org.tessera.prompt..",
              "org.tessera.sampling..",
              "org.tessera.text..",
              "org.tessera.weights..");

  @ArchTest
  static final ArchRule picturesAndTextKnowNoDevice =
      noClasses()
          .that()
          .resideInAnyPackage("org.tessera.image..", "org.tessera.text..", "org.tessera.prompt..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.tessera.device..",
              "org.tessera.ops..",
              "org.tessera.engine..",
              "org.tessera.model..");

  @ArchTest
  static final ArchRule theEngineNeverDecodesPicturesOrText =
      noClasses()
          .that()
          .resideInAPackage("org.tessera.engine..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.tessera.text..", "org.tessera.prompt..")
          .orShould()
          .dependOnClassesThat()
          .haveSimpleName("ImageDecoder");

  @ArchTest
  static final ArchRule onlyTheCommandLinePrints =
      noClasses()
          .should()
          .accessField(System.class, "out")
          .orShould()
          .accessField(System.class, "err");

  @ArchTest
  static final ArchRule noGlobalState =
      noFields().that().areStatic().should().notBeFinal().allowEmptyShould(true);
}
