# The MJCF texts of src/env/mujoco/models as C strings: one generated source, written again when a text changes.

file(GLOB models CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/env/mujoco/models/*.xml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${models})
set(rows "")
foreach(model IN LISTS models)
  get_filename_component(name ${model} NAME_WE)
  file(READ ${model} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  string(APPEND rows "    {\"${name}\",\n     \"${text}\"},\n")
endforeach()
set(REIN_MODELS_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/generated/mujoco_models.c)
file(CONFIGURE OUTPUT ${REIN_MODELS_SOURCE} CONTENT "#include \"env/mujoco/mujoco_models.h\"

const reini_mujoco_model reini_mujoco_models[] = {
@rows@    {0, 0},
};
" @ONLY)
